"""`make serving`: what a merged adapter costs beside its base, and what N adapters hold of memory.

GPT-2 124M geometry with random weights, rank 8 on q, k, v and out. Merged, folded and plain base
take turns in one process, and ratios are taken within a round. Nothing here passes or fails.
"""

import argparse
import copy
import json
import statistics
import time
from pathlib import Path

import drawn
import torch
from torch import nn

from loraexp.adapters.inject import fold, inject, merge, new_branches
from loraexp.api import configure
from loraexp.config.schema import Adaptation, Head, Lora
from loraexp.inference.multi_adapter import MultiAdapter
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.results.tables import to_terminal
from loraexp.runtime.hardware import DTYPES, device_name, pick_precision, versions

LORA = Adaptation(lora=Lora(rank=8))
TEXTS, LENGTH = 32, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--adapters", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    speed, memory = speeds(options.model, options.rounds), memories(options.model, options.adapters)
    print(to_terminal(drawn.merged(speed)), end="\n\n")
    print(to_terminal(drawn.many(memory)))
    if options.out:
        head = {"device": device_name("cpu", 1), "versions": versions(), "model": options.model}
        content = {**head, "speed": speed, "memory": memory}
        options.out.write_text(json.dumps(content, indent=2) + "\n")


def base(model: str) -> GPT2Classifier:
    config = configure(f"model={model}", "model.weights=random", "model.tokenizer=bytes")
    return load_classifier(config.model, Head(), 2, seed=0)


def speeds(model: str, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a batch beside the base's, median over the rounds."""
    dtype = DTYPES[pick_precision("auto", "cpu")]
    plain = base(model)
    adapted = inject(copy.deepcopy(plain), LORA, seed=0)
    ways = {
        "base": plain.requires_grad_(False),
        "merged": merge(copy.deepcopy(adapted)).requires_grad_(False),
        "folded": adapted,
        "not merged": copy.deepcopy(adapted),
    }
    for network in ways.values():
        network.compute_in(dtype).eval()
    fold(adapted)
    tokens = torch.randint(0, 50257, (TEXTS, LENGTH), generator=torch.Generator().manual_seed(0))
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    names = [*ways]
    with torch.inference_mode():
        for turn in range(rounds + 2):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                started = time.perf_counter()
                ways[name](tokens)
                if turn > 1:
                    seconds[name].append(time.perf_counter() - started)
    return {
        way: {
            "texts_per_second": TEXTS / statistics.median(found),
            "ratio": statistics.median(a / b for a, b in zip(found, seconds["base"], strict=True)),
        }
        for way, found in seconds.items()
    }


def memories(model: str, counts: list[int]) -> list[dict[str, float]]:
    """Bytes of all tensors of one base with N adapters, each with a head."""
    network = base(model)
    fresh = [new_branches(network, LORA, seed) for seed in range(max(counts))]
    many = MultiAdapter(network)
    alone = held(many)
    found: list[dict[str, float]] = []
    for seed, branches in enumerate(fresh):
        only = {path: branch for path, (_, branch) in branches.items()}
        many.add(str(seed), "last_token", copy.deepcopy(network.score), only)
        if seed + 1 in counts:
            total = held(many)
            found.append({"adapters": seed + 1, "bytes": total, "ratio": total / alone})
    return found


def held(module: nn.Module) -> int:
    """Bytes of all tensors, each storage once."""
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
        for t in (*module.parameters(), *module.buffers())
    }
    return sum(storages.values())


if __name__ == "__main__":
    main()
