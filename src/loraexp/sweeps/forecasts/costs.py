"""What a run of each kind costs on this machine, measured from some batches of it: by the path that
trains, beside as many others and in packs as wide as in the sweep."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from loraexp.config.schema import Logger, TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.runtime import hardware
from loraexp.sweeps.forecasts.waves import Part
from loraexp.sweeps.forecasts.work import Reading, Work, work_of
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job, outcome_of
from loraexp.sweeps.launchers.crew import Doing, crew
from loraexp.sweeps.live.watch import Unseen, cost
from loraexp.sweeps.pace import is_short
from loraexp.sweeps.packs import why_apart
from loraexp.sweeps.sweep_folder import Sweep

log = logging.getLogger("loraexp")
FIRST = 4  # batches of the first, cold probe
SECONDS = 3.0  # that a probe takes which is measured, about
# Of a CPU in bf16, measured: what oneDNN keeps of a batch of another number of tokens, of the
# products of the base and of those with each rank; and the most it keeps (runtime/process.py).
A_SHAPE, A_RANK, MOST = 2_200_000, 2_600_000, 307_000_000


@dataclass(frozen=True)
class Cost:
    """Of a run of one kind; of one in a pack its share of the pack's seconds.

    Args:
        fixed: seconds to load, to save and to draw its curves.
        epoch: seconds of an epoch, whatever it has of texts.
        train, forward: seconds of a token that is learnt from, and of one that is only read.
        peak: bytes of its whole process.
        shapes: of the batches that were measured.
    """

    fixed: float
    epoch: float
    train: float
    forward: float
    peak: int
    shapes: int

    def seconds(self, work: Work, part: Part = "whole", least: bool = False) -> float:
        """Of a run with this work."""
        epochs, measured = work.least if least else work.epochs, self.forward * work.measured.tokens
        if part == "rest":
            return measured
        frozen = float(work.frozen) if work.epochs > 1 else 0.0
        kept = frozen * self.forward  # of a token: through frozen blocks it goes once
        learnt, looked = work.train.tokens, work.validation.tokens
        each = (self.train - kept) * learnt + (self.forward - kept) * looked
        fitted = epochs * (max(0.0, each) + self.epoch) + kept * (learnt + looked)
        read = self.forward * looked if part == "trial" else measured
        return self.fixed + fitted + read

    def bytes(self, work: Work, config: TrainConfig, ranks: int) -> int:
        """Of the process, at its peak: of shapes that were not measured, it will keep more.

        Args:
            ranks: that its runs have, each once.
        """
        return self.peak + max(0, grown(config, work.shapes, ranks) - grown(config, self.shapes, 1))


def grown(config: TrainConfig, shapes: int, ranks: int) -> int:
    """Bytes that oneDNN keeps for another time."""
    if hardware.uses_gpu(config.trainer.accelerator) or not is_short(config):
        return 0
    return min(MOST, shapes * (A_SHAPE + ranks * A_RANK))


@dataclass(frozen=True)
class Costs:
    """All that was measured.

    Args:
        cold: seconds until the processes have started and gone through their first run.
        took: seconds of the probe.
    """

    cold: float
    kinds: Mapping[str, Cost]
    records: Sequence[Record]
    took: float

    def of(self, config: TrainConfig) -> Cost:
        return self.kinds[kind_of(config)]


def kind_of(config: TrainConfig) -> str:
    """Equal of runs that cost alike: of another rank, rate or seed."""
    lora = replace(config.lora, rank=1, alpha=1.0, rank_pattern={}, alpha_pattern={})
    return cost(replace(config, lora=lora))


def kinds(configs: Sequence[TrainConfig]) -> dict[str, TrainConfig]:
    """A run of each kind, of the middle one of its ranks."""
    found: dict[str, list[TrainConfig]] = {}
    for config in configs:
        found.setdefault(kind_of(config), []).append(config)
    return {
        kind: sorted(own, key=lambda config: config.lora.rank)[len(own) // 2]
        for kind, own in found.items()
    }


def measured(configs: Sequence[TrainConfig], workers: int, width: int, reading: Reading) -> Costs:
    """Try some batches of each kind.

    Args:
        workers, width: processes at work, and runs that each has in step, as in the sweep.

    Raises:
        UserError: a run that cannot be trained.
    """
    each, found, began = kinds(configs), dict[str, Cost](), time.monotonic()
    log.info(f"a few batches of {len(each)} kind{'s' * (len(each) > 1)} of run, to measure them")
    with TemporaryDirectory() as folder:
        protocol = Protocol(workers=workers, width=width)
        with crew(protocol, Unseen()) as doing:
            probing = Probing(doing, Path(folder), workers, width, reading)
            first = next(iter(each.values()))
            begun = probing.tried(first, FIRST)
            batches = max(FIRST, int(FIRST * SECONDS / begun.busy))
            cold = 0.0
            for kind, config in each.items():
                # Its shapes are new to the process in the first of two, as in a sweep's first run.
                new, known = (probing.tried(config, batches) for _ in range(2))
                found[kind] = known.cost()
                cold += max(0.0, new.wall - new.expected(found[kind]))
        cold += max(0.0, begun.wall - begun.expected(found[kind_of(first)]))
    return Costs(cold, found, known.records, time.monotonic() - began)


@dataclass
class Probing:
    doing: Doing
    folder: Path
    workers: int
    width: int
    reading: Reading
    number: int = 0

    def tried(self, config: TrainConfig, batches: int) -> "Tried":
        """As many runs of one epoch as there will be side by side."""
        own = config.trainer
        batches = min(batches, own.limit_batches or batches)
        trainer = replace(own, max_epochs=1, limit_batches=batches)
        logger = config.logger if config.logger.name != "wandb" else Logger()
        folder = str(self.folder / str(self.number))  # none is found finished
        probe = replace(config, trainer=trainer, output_dir=folder, rerun=False, logger=logger)
        width = 1 if why_apart(config) else self.width
        jobs = [
            Job(Sweep(self.folder / "probe"), self.number + at, replace(probe, seed=at))
            for at in range(self.workers * width)
        ]
        self.number += len(jobs)
        began = time.monotonic()
        self.doing(jobs)
        wall = time.monotonic() - began
        records = []
        for job in jobs:
            outcome = outcome_of(job)
            if not isinstance(outcome, Record):
                raise UserError(f"{job.config.method}: {getattr(outcome, 'reason', outcome)}")
            records.append(outcome)
        works = [work_of(job.config, *self.reading.read(job.config)) for job in jobs]
        return Tried(wall, self.workers, width, records, works)


@dataclass(frozen=True)
class Tried:
    """Runs that were tried side by side, of one epoch each."""

    wall: float
    workers: int
    width: int
    records: Sequence[Record]
    works: Sequence[Work]

    @property
    def busy(self) -> float:
        """Seconds of a worker in which its runs trained and were measured."""
        return (
            math.fsum(r.seconds["fit"] + r.seconds["evaluate"] for r in self.records) / self.workers
        )

    def expected(self, cost: Cost) -> float:
        return math.fsum(map(cost.seconds, self.works)) / self.workers

    def cost(self) -> Cost:
        pairs = [*zip(self.records, self.works, strict=True)]
        forward = mean(r.seconds["evaluate"] / max(1, w.measured.tokens) for r, w in pairs)
        learning = [learnt(r, w) for r, w in pairs]
        train = mean(
            own / max(1, w.train.tokens) for own, (_, w) in zip(learning, pairs, strict=True)
        )
        rest = [
            r.seconds["fit"] - own - forward * w.validation.tokens
            for own, (r, w) in zip(learning, pairs, strict=True)
        ]
        return Cost(
            fixed=max(0.0, self.wall - self.busy) / self.width,
            epoch=max(0.0, mean(rest)),
            train=train,
            forward=forward,
            peak=max(r.peak_memory_bytes * (r.pack or 1) for r in self.records),
            shapes=self.works[0].shapes,
        )


def learnt(record: Record, work: Work) -> float:
    """Seconds of its steps, as its meter has them; of a single step all of its fit."""
    rate = record.texts_per_second
    return work.train.texts / rate if rate else record.seconds["fit"]
