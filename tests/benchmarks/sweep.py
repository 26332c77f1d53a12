"""What a whole sweep takes from Enter to its table: `make bench-sweep`.

The same runs on `nano` and the real messages, as commands of their own, in turns: one after
another, with all train texts measured and with a sample, by several workers, in packs, by both, and
by scripts of peft + transformers, which start Python for each run as people do, or once for all.
Nothing here passes or fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import drawn

from loraexp.api import configure
from loraexp.data.splits import load_data
from loraexp.model.weights import load_tokenizer
from loraexp.records.record_types import SPLITS
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware
from loraexp.runtime.shares import cores
from loraexp.training.train_sample import train_sample

RANKS, RATES, SEEDS = (2, 4, 8, 16), (1e-3, 3e-3), (0, 1, 2)
SCRIPT = Path(__file__).with_name("peft_script.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--without", nargs="*", default=(), help="ways that are left out")
    options = parser.parse_args()
    runs = [*product(options.ranks, RATES, SEEDS)]
    many = cores()
    whole, single, alone = "trainer.train_metrics=all", "workers=1", "pack.width=1"
    several, packs = f"workers={many}", "pack.width=auto"
    fixed = [options.ranks, f"trainer.precision={options.precision}"]
    ways: dict[str, list[list[str]]] = {
        "one after another": [ours(*fixed, single, alone, whole)],
        "a sample measured": [ours(*fixed, single, alone)],
        f"{many} workers": [ours(*fixed, several, alone)],
        "packs": [ours(*fixed, single, packs)],
        f"{many} workers, packs": [ours(*fixed, several, packs)],
    }
    facts = {
        "device": hardware.device_name("cpu", 1),
        "precision": hardware.pick_precision(options.precision, "cpu"),
        "versions": hardware.versions(),
        "runs": len(runs),
    }
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.json" for number in range(len(runs) + 1)]
        for file, some in zip(files, [*([run] for run in runs), runs], strict=True):
            file.write_text(json.dumps(of_peft(Path(folder), some, options.precision)))
        command = [sys.executable, str(SCRIPT)]
        out = str(Path(folder) / "scores.json")
        ways["peft, a process a run"] = [[*command, str(file), out] for file in files[:-1]]
        ways["peft, one process"] = [[*command, str(files[-1]), out]]
        ways = {way: ways[way] for way in ways if way not in options.without}
        seconds |= {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, commands in ways.items():
                seconds[way].append(sum(map(timed, commands)))
                print(f"{way}: {seconds[way][-1]:.1f} s", flush=True)
                options.out.write_text(json.dumps(facts | {"seconds": seconds}, indent=1) + "\n")
    print(to_terminal(drawn.sweep(facts | {"seconds": seconds})))


def ours(ranks: list[int], *more: str) -> list[str]:
    grid = {"lora.rank": ranks, "optim.lr": RATES, "seed": SEEDS}
    words = [f"{key}={','.join(f'{value:g}' for value in values)}" for key, values in grid.items()]
    fixed = ["data=sms_spam", "logger=none", *words, "-m", *more]
    return [sys.executable, "-m", "loraexp", "train", *fixed]


def of_peft(folder: Path, runs: list[tuple[int, float, int]], precision: str) -> dict[str, Any]:
    """The same data, geometry and settings, for the script; what reads and cuts texts is ours."""
    config = configure("data=sms_spam")
    data, tokenizer = load_data(config.data), load_tokenizer(config.model)
    base = folder / "base"
    if not base.exists():
        import torch
        import transformers

        m = config.model
        geometry = transformers.GPT2Config(
            vocab_size=m.vocab_size,
            n_positions=m.context,
            n_layer=m.n_layer,
            n_head=m.n_head,
            n_embd=m.d_model,
            num_labels=2,
            **dict.fromkeys(("attn_pdrop", "resid_pdrop", "embd_pdrop"), 0.0),
        )
        torch.manual_seed(0)
        transformers.GPT2ForSequenceClassification(geometry).save_pretrained(base)
    splits = {
        name: {
            "rows": tokenizer.encode(data[name].texts, config.model.context),
            "classes": [*data[name].classes],
        }
        for name in SPLITS
    }
    sample = train_sample(config, data, Fraction(0)) or range(len(data.train))
    train = splits["train"]
    splits["sample"] = {key: [train[key][at] for at in sample] for key in train}
    fixed = {"alpha": config.lora.alpha, "epochs": config.trainer.max_epochs}
    fixed |= {"batch": config.data.batch_size}
    fixed |= {"bf16": hardware.pick_precision(precision, "cpu") == "bf16"}
    own = [{"rank": rank, "lr": rate, "seed": seed, **fixed} for rank, rate, seed in runs]
    return {"base": str(base), "splits": splits, "runs": own}


def timed(command: list[str]) -> float:
    """Seconds from Enter to the end, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
