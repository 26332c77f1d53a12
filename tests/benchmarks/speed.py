"""`make bench`: texts a second of loraexp beside peft + transformers, in turns.

Every way has a process of its own, and only one works at a time. Every round times each way once on
the same batches, in an order that rotates; figures are medians over the rounds, and ratios are
taken within a round. Nothing here passes or fails.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import drawn
from ways import COMPILED, WAYS, Worker, prepare, ways_in, workers

from loraexp.results.tables import to_terminal

MODELS = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
WHATS = ("train", "predict", "predict, merged")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", help="gpt2; on a GPU also medium, large and xl")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=192, help="of each way in each round")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="default: in our precision")
    parser.add_argument("--whats", nargs="+", choices=WHATS, default=WHATS)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        answer_questions(options)
        return
    options.device = options.device or fastest()
    options.ways = options.ways or ways_in(precision_on(options.device))
    found = []
    for model in options.models or (MODELS if options.device == "cuda" else MODELS[:1]):
        found.append(compare(model, options))
        show(found[-1])
    if options.out:
        options.out.write_text(json.dumps({"compared": found}, indent=2) + "\n")


def fastest() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def precision_on(device: str) -> str:
    """What trainer.precision=auto is there."""
    from loraexp.runtime.hardware import pick_precision

    return pick_precision("auto", "gpu" if device == "cuda" else "cpu")


def compare(model: str, options: argparse.Namespace) -> dict[str, Any]:
    measured: list[dict[str, Any]] = []
    with workers(__file__, options.ways, model, "--device", options.device) as asked:
        roof, *_ = (worker.ask(do="describe") for worker in asked.values())
        for size in options.batches:
            for what in options.whats:
                some = {way: worker for way, worker in asked.items() if fits(way, what, size)}
                rates = in_turns(some, what, size, options.rounds, options.texts // size)
                measured += [
                    {"what": what, "batch": size, "way": way, "texts_per_second": rates[way]}
                    for way in some
                ]
    return {"model": model, **roof, "measured": measured}


def show(found: dict[str, Any]) -> None:
    print(f"{found['model']} on {found['device']}\n")
    print(to_terminal(drawn.speed(found["measured"])), end="\n\n")
    print(*drawn.roofs(found), sep="\n", end="\n\n")


def fits(way: str, what: str, size: int) -> bool:
    """Only training steps are compiled in loraexp; the tutorial's batches are of 8, and of 32 one
    step would take half a minute."""
    return (way != COMPILED or what == "train") and (size <= 8 or grouped(way))


def grouped(way: str) -> bool:
    return "pad_to" not in WAYS[way]


def in_turns(
    asked: dict[str, Worker], what: str, size: int, rounds: int, batches: int
) -> dict[str, list[float]]:
    """Texts a second of each way in each round; round 0 warms up and is left out."""
    rates: dict[str, list[float]] = {way: [] for way in asked}
    names = [*asked]
    for turn in range(rounds + 1):
        shift = turn % len(names)
        for way in names[shift:] + names[:shift]:
            # padded to one width, all batches cost the same, and half a minute a round is too long
            number = batches if grouped(way) else 2
            rate = asked[way].ask(do=what, size=size, batches=number)
            if turn:
                rates[way].append(rate)
    return rates


def answer_questions(options: argparse.Namespace) -> None:
    """The process of one way: a line of JSON in, one out."""
    prepare(options.way)
    from arms import build

    from loraexp.runtime.hardware import device_name, versions

    warnings.filterwarnings("ignore", category=FutureWarning)  # transformers' of itself
    arm = build(options.way, options.model, options.base, options.device)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "describe":
            rows = arm.texts.rows
            answer: Any = {
                "device": device_name("gpu" if options.device == "cuda" else "cpu", 1),
                "versions": versions(),
                "precision": precision_on(options.device),
                "matrix_product_flops": matrix_product_rate(options.device),
                "mean_tokens": sum(map(len, rows)) / len(rows),
                "parameters": sum(p.numel() for p in arm.network.parameters()),
            }
        else:
            answer = texts_per_second(arm, asked["do"], asked["size"], asked["batches"])
        print(json.dumps(answer), flush=True)


def texts_per_second(arm: Any, what: str, size: int, number: int) -> float:
    import torch

    batches = arm.texts.sample(size, number, grouped=arm.grouped)
    work = arm.step if what == "train" else arm.predict
    arm.network.train(what == "train")
    if what == "predict, merged":
        arm.merge()
    started = time.perf_counter()
    for batch in batches:
        work(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    rate = sum(map(len, batches)) / (time.perf_counter() - started)
    if what == "predict, merged":
        arm.unmerge()
    return rate


def matrix_product_rate(device: str) -> float:
    """FLOP/s of a large product in the precision that ours has: the roof."""
    import torch

    from loraexp.runtime.hardware import DTYPES

    a = torch.randn(4096, 4096, device=device, dtype=DTYPES[precision_on(device)])
    best = 0.0
    for _ in range(8):
        started = time.perf_counter()
        (a @ a).sum().item()
        best = max(best, 2 * 4096**3 / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    main()
