"""`make bench-methods`: what each method costs in memory and time, beside lora.

`nano`, one fixed batch, rank 8, each method with its own targets, one thread, float32. Peaks: each
method in a process of its own, above what that held before there was a network. Seconds: all
methods in turns in one process, by its own time on the processor, which others lengthen little.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import drawn
import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.learning import controller, optimizer_groups, penalty
from loraexp.adapters.methods import METHODS
from loraexp.api import configure
from loraexp.data.batching import collate
from loraexp.data.splits import load_data
from loraexp.results.tables import to_terminal
from loraexp.runs.load import build_model
from loraexp.runtime.hardware import device_name, versions

ROUNDS, STEPS = 6, 3  # of all methods in turns; steps of each in a round


class Arm:
    """A method on its network, and the steps that `train` would do."""

    def __init__(self, method: str) -> None:
        typed = ("model=nano", f"method={method}", "trainer.precision=fp32", "data=sms_demo")
        self.config = configure(*typed)
        data = load_data(self.config.data)
        model = build_model(self.config, data.labels)
        size = self.config.data.batch_size
        rows = model.tokenizer.encode(data.train.texts[:size], model.max_length)
        items = [*zip(rows, data.train.classes[:size], strict=True)]
        self.batch = collate(items, model.tokenizer.pad)
        self.network = model.network.train()
        self.trained = [*adapter_tensors(self.network).values()]
        groups = optimizer_groups(self.network, self.config)
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, fused=True)
        self.between = controller(self.network, self.config)
        self.steps = 0

    def step(self) -> None:
        self.optimizer.zero_grad()  # first: gradients stay to be counted
        logits = self.network(self.batch.tokens, self.batch.lengths)
        (F.cross_entropy(logits, self.batch.classes) + penalty(self.network)).backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.steps += 1
        if self.between:
            self.between.after_step(self.steps, 10 * ROUNDS * STEPS)

    def state_bytes(self) -> int:
        """Of gradients, the optimizer, and what the method keeps from step to step."""
        kept = self.between.state_dict() if self.between else {}
        state = chain.from_iterable(one.values() for one in self.optimizer.state.values())
        gradients = (p.grad for p in self.trained if p.grad is not None)
        return sum(t.nbytes for t in chain(gradients, state, tensors_in(kept)))


def tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(tensors_in, value.values()))


def memory_of(method: str) -> dict[str, Any]:
    """In a process of its own, after three steps."""
    before = of_process("VmRSS")
    arm = Arm(method)
    for _ in range(3):
        arm.step()
    return {
        "method": method,
        "trainable": sum(p.numel() for p in arm.trained),
        "state_bytes": arm.state_bytes(),
        "peak_bytes": of_process("VmHWM") - before,
    }


def of_process(what: str) -> int:
    """Bytes of this process: a child's peak begins at what it holds as it is forked."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def in_turns() -> dict[str, list[float]]:
    """Seconds a step of each method, one a round; the order is another in each."""
    arms = {method: Arm(method) for method in METHODS}
    for arm in arms.values():
        arm.step()
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    names = [*METHODS]
    for number in range(ROUNDS):
        at = number * len(names) // ROUNDS
        for method in names[at:] + names[:at]:
            started = time.process_time()
            for _ in range(STEPS):
                arms[method].step()
            seconds[method].append((time.process_time() - started) / STEPS)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)  # and no thread that a fork would lose
    Arm("lora").step()  # what is imported on the way counts for none of them
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        # The first process of a pool finds more memory free than any other: its peak is none.
        lines = pool.map(memory_of, ["lora", *METHODS], chunksize=1)[1:]
    seconds = in_turns()
    for line in lines:
        own = seconds[line["method"]]
        line["seconds"] = statistics.median(own)
        ratios = [a / b for a, b in zip(own, seconds["lora"], strict=True)]
        line["beside_lora"] = statistics.median(ratios)
        line["ratios"] = [min(ratios), max(ratios)]
    found = {"device": device_name("cpu", 1), "versions": versions(), "lines": lines}
    print(to_terminal(drawn.method_costs(lines)))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
