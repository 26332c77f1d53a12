"""`make bench`: texts a second of loraexp beside peft + transformers, in one process, in turns.

Every round times each way once, in an order that rotates; figures are medians over the rounds, and
ratios are taken within a round. Nothing here passes or fails.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line sets it

import torch
import transformers
from arms import Arm, Texts, ours, peft

from loraexp.api import configure
from loraexp.config import TrainConfig
from loraexp.data.splits import load_data
from loraexp.model.weights import load_tokenizer, tokenizer_folder
from loraexp.results.tables import Column, Table, to_terminal
from loraexp.training.hardware import device_name, versions

COLUMNS = [
    Column("what", "what", words=True),
    Column("batch", "batch"),
    Column("way", "way", words=True),
    Column("texts_per_second", "texts/s", lambda v: f"{v:.1f}"),
    Column("ratio", "loraexp is faster by", lambda v: f"{v:.2f} x"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each way in each round")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)  # transformers' of itself

    config = configure(f"model={options.model}", "model.weights=random", "data=sms_spam")
    data = load_data(config.data)
    rows = load_tokenizer(config.model).encode(data.train.texts, config.model.context)
    texts = Texts(rows, data.train.classes)
    roof = matrix_product_rate(options.device)
    with tempfile.TemporaryDirectory() as folder:
        ways = build(config, Path(folder), texts, options.device)
        lines, measured = [], []
        for size in options.batches:
            for what in ("train", "predict"):
                # the tutorial's batches are of 8; of 32 one step would take half a minute
                taking_part = ways if size <= 8 else [way for way in ways if way.grouped]
                rates = in_turns(taking_part, what, size, options.rounds, options.seconds)
                best = rates[ways[0].name]
                for way in taking_part:
                    ratio = statistics.median(
                        a / b for a, b in zip(best, rates[way.name], strict=True)
                    )
                    rate = statistics.median(rates[way.name])
                    lines.append([what, size, way.name, rate, ratio])
                    row = {"what": what, "batch": size, "way": way.name}
                    measured.append(row | {"texts_per_second": rates[way.name]})
    tokens = sum(map(len, rows)) / len(rows)
    parameters = sum(p.numel() for p in ways[0].network.parameters())
    print(to_terminal(Table(COLUMNS, lines)))
    print()
    for _, size, _, rate, _ in (line for line in lines if line[0] == "train" and line[4] == 1.0):
        share = 4 * parameters * tokens * rate / roof
        print(
            f"batch {size}: 4 x parameters x tokens/s is {share:.0%} of the "
            f"{roof / 1e9:.0f} GFLOP/s of a large matrix product"
        )
    if options.out:
        device = device_name("cpu" if options.device == "cpu" else "gpu", 1)
        content = {
            "model": options.model,
            "device": device,
            "versions": versions(),
            "matrix_product_flops": roof,
            "mean_tokens": tokens,
            "parameters": parameters,
            "measured": measured,
        }
        options.out.write_text(json.dumps(content, indent=2) + "\n")


def build(config: TrainConfig, folder: Path, texts: Texts, device: str) -> list[Arm]:
    """All ways on the same base: transformers writes it, both sides read it."""
    m = config.model
    geometry = transformers.GPT2Config(
        n_layer=m.n_layer, n_head=m.n_head, n_embd=m.d_model, num_labels=2
    )
    torch.manual_seed(0)
    transformers.GPT2ForSequenceClassification(geometry).save_pretrained(folder)
    model = replace(m, weights=str(folder), tokenizer=str(tokenizer_folder(m)))
    return [
        ours(replace(config, model=model), texts, device),
        peft("peft, bf16 base", folder, texts, device, autocast=True, weights=torch.bfloat16),
        peft("peft, bf16 autocast", folder, texts, device, autocast=True),
        peft("tutorial: pad to 120, fp32", folder, texts, device, autocast=False, pad_to=120),
    ]


def in_turns(
    ways: list[Arm], what: str, size: int, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Texts a second of each way in each round; round 0 warms up and is left out."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(rounds + 1):
        shift = turn % len(ways)
        for way in ways[shift:] + ways[:shift]:
            batches = way.texts.batches(size, turn, grouped=way.grouped)
            work: Callable[[list[int]], None] = getattr(way, "step" if what == "train" else what)
            way.network.train(what == "train")
            rate = texts_per_second(work, batches, seconds if turn else 1.0)
            if turn:
                rates[way.name].append(rate)
    return rates


def texts_per_second(
    work: Callable[[list[int]], None], batches: list[list[int]], seconds: float
) -> float:
    done, started = 0, time.perf_counter()
    for batch in batches:
        work(batch)
        done += len(batch)
        if time.perf_counter() - started > seconds:
            break
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return done / (time.perf_counter() - started)


def matrix_product_rate(device: str) -> float:
    """FLOP/s of a large bf16 product: the roof."""
    a = torch.randn(4096, 4096, device=device, dtype=torch.bfloat16)
    best = 0.0
    for _ in range(8):
        started = time.perf_counter()
        (a @ a).sum().item()
        best = max(best, 2 * 4096**3 / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    main()
