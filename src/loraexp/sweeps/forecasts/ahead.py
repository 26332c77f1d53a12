"""The waves of a plan and what they come to: packs, seconds, bytes of memory and of the disk."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loraexp.adapters.counts import Counts, count_shapes
from loraexp.adapters.methods import find_method
from loraexp.config.schema import TrainConfig
from loraexp.data.sources import SMS_LABELS
from loraexp.model.shapes import linear_shapes, shapes
from loraexp.runtime.quiet import quieted
from loraexp.sweeps.forecasts.costs import Costs, kind_of, measured
from loraexp.sweeps.forecasts.devices import Device
from loraexp.sweeps.forecasts.needs import FIGURES, checkpoint, disk, memory
from loraexp.sweeps.forecasts.waves import Wave
from loraexp.sweeps.forecasts.work import Reading
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.packs import packs, why_apart
from loraexp.sweeps.plan import Plan
from loraexp.sweeps.sweep_folder import Sweep

log = logging.getLogger("loraexp")
UNITS = (1, 4, 16)
Ends = tuple[float, float]


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing that counts."""

    model: str
    method: str
    rank: int | None
    counts: Counts
    runs: int


@dataclass(frozen=True)
class Ahead:
    """The waves of a plan, at least and at most."""

    planned: Plan
    reading: Reading
    waves: tuple[Sequence[Wave], Sequence[Wave]]

    @property
    def first(self) -> Sequence[TrainConfig]:
        """What is done first."""
        return next((wave.missing for wave in self.waves[1] if wave.missing), [])

    @property
    def protocol(self) -> Protocol:
        return self.planned.protocol

    def packs(self, wave: Wave, units: int) -> list[list[TrainConfig]]:
        """Those of a wave's jobs that are not done yet."""
        width, workers = self.protocol.width or 1, (self.protocol.workers or 1) * units
        folder = Sweep(self.planned.sweep or Path())
        trial = wave.part == "trial"
        jobs = [Job(folder, at, one, trial) for at, one in enumerate(wave.missing)]
        with quieted(log):
            return [[job.config for job in pack] for pack in packs(jobs, width, workers)]

    def measure(self) -> Costs:
        made = self.packs(next(wave for wave in self.waves[1] if wave.missing), 1)
        every = [config for wave in self.waves[1] for config in wave.missing]
        workers = min(self.protocol.workers or 1, len(made))
        return measured(every, workers, max(map(len, made)), self.reading)

    def seconds(self, costs: Costs, units: int) -> Ends:
        """Of all waves, where there are so many machines, or GPUs, as this one."""
        low, high = self.waves
        return (
            self.whole(low, units, lambda one, wave: self.run(costs, one, wave, True)),
            self.whole(high, units, lambda one, wave: self.run(costs, one, wave, False)),
        )

    def run(self, costs: Costs, config: TrainConfig, wave: Wave, least: bool) -> float:
        return costs.of(config).seconds(self.reading.work(config), wave.part, least)

    def whole(
        self, waves: Sequence[Wave], units: int, run: Callable[[TrainConfig, Wave], float]
    ) -> float:
        """Each pack goes to the worker who is free first, in their order, as in a sweep."""
        seconds = 0.0
        for wave in waves:
            free = [0.0] * (self.protocol.workers or 1) * units
            for pack in self.packs(wave, units):
                at = free.index(min(free))
                free[at] += sum(run(config, wave) for config in pack)
            seconds += max(free)
        return seconds

    def on(self, device: Device) -> tuple[dict[int, Ends], str]:
        """Seconds of the training steps on so many of a device, one run at a time on each."""
        alone = replace(self.planned, protocol=replace(self.protocol, workers=1, width=1))
        ahead, rates = replace(self, planned=alone), device.tokens_a_second
        for one in alone.jobs:
            if one.model.name not in rates or not find_method(one.method).branch:
                what = f"{one.method} on {one.model.name}"
                known = ", ".join(rates)
                return {}, f"not measured of {what} (of methods with a branch on {known})"

        def run(config: TrainConfig, wave: Wave) -> float:
            work = self.reading.work(config)
            tokens = work.epochs * work.train.tokens if wave.part != "rest" else 0
            return tokens / rates[config.model.name]

        low, high = self.waves
        return {n: (ahead.whole(low, n, run), ahead.whole(high, n, run)) for n in UNITS}, ""

    def counts(self, config: TrainConfig, here: bool) -> Counts:
        labels = self.reading.read(config)[0].labels if here else SMS_LABELS
        sizes = shapes(config.model, config.head, len(labels))
        return count_shapes(sizes, list(linear_shapes(config.model)), config)

    def settings(self, here: bool) -> list[Setting]:
        found: dict[tuple[object, ...], Setting] = {}
        for one in self.planned.jobs[:1] if self.protocol.search else self.planned.jobs:
            rank = one.lora.rank if find_method(one.method).has_rank else None
            own = Setting(one.model.name, one.method, rank, self.counts(one, here), 0)
            key = (own.model, own.method, own.rank, own.counts)
            found[key] = replace(own, runs=found.get(key, own).runs + 1)
        return [*found.values()]

    def process(self, costs: Costs | None, on_gpu: bool = False) -> int:
        """Peak of the largest process.

        Args:
            on_gpu: on one that is not here.
        """
        width = max([len(p) for wave in self.waves[1] for p in self.packs(wave, 1)], default=1)
        ranks = len({config.lora.rank for config in self.planned.jobs})
        found = []
        for config in self.planned.jobs:
            work, own = self.reading.work(config), 1 if why_apart(config) else width
            several = ranks if own == 1 else 1  # in a pack all are padded to one
            if costs and (cost := costs.kinds.get(kind_of(config))):
                found.append(cost.bytes(work, config, several))
            else:
                longest = max(config.data.pad_to or 1, *self.reading.read(config)[1]["train"])
                counts = self.counts(config, here=True)
                found.append(memory(config, counts, work, longest, own, several, on_gpu))
        return max(found)

    def disk(self, waves: Sequence[Wave], here: bool) -> int:
        """Of all that is written and kept; what is finished is not written again."""
        tests = {repr(one.data): self.tests(one, here) for one in self.planned.jobs}
        runs = sum(
            disk(config, self.counts(config, here), tests[repr(config.data)], wave.part)
            for wave in waves
            for config in wave.missing
        )
        return runs + (FIGURES if self.planned.sweep and count(waves) > 1 else 0)

    def tests(self, config: TrainConfig, here: bool) -> int:
        return len(self.reading.read(config)[0].test) if here else 0

    def passing(self, here: bool) -> int:
        """The last epochs of the runs that are at work, and one that is being written."""
        if not self.first:
            return 0
        largest = max(checkpoint(self.counts(one, here)) for one in self.first)
        at_work = (self.protocol.workers or 1) * (self.protocol.width or 1)
        return largest * (min(len(self.first), at_work) + 1)


def count(waves: Sequence[Wave]) -> int:
    return sum(len(wave.configs) for wave in waves if wave.part != "rest")
