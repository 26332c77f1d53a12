"""A sweep's packs of jobs handed to another engine: what comes of them is read in the run folders,
which all machines share, and of the engine it is asked only whether a pack is still in its hands.
"""

import logging
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loraexp.errors import UserError
from loraexp.records.record import FAILED, FILE, SCORED, TRIAL_FAILED
from loraexp.runs.content import present
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.jobs import Job, failed, outcome_of
from loraexp.sweeps.live.board import Task
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.packs import packs
from loraexp.sweeps.sweep_folder import Sweep

log = logging.getLogger("loraexp")
PERIOD = 1.0  # seconds between two looks; more, that a tenth of the time goes into looking
LONGEST = 30.0
TRIES = 3  # a job whose pack is lost is given to another one, alone


class Silent(UserError):
    """An engine no longer says what it has in its hands: that goes on, and nobody waits for it."""


class Engine(Protocol):
    """Who has the processes."""

    at_once: int  # packs that it is given at a time
    late: float  # seconds in which what another machine has written is seen here
    shown: str  # its name, and where to look

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        """Hand over packs, each the files of its jobs; returns a name of each."""
        ...

    def working(self, names: Collection[str]) -> set[str]:
        """Of these, those that wait or are at work.

        Raises:
            Silent: nobody says so any more.
        """
        ...

    def told(self, name: str) -> str:
        """How a pack that is over ended, as far as the engine knows."""
        ...

    def cancel(self, names: Collection[str]) -> None: ...

    def close(self) -> None: ...


Stamp = tuple[tuple[int, int] | None, ...]


@dataclass
class InHand:
    """A job that the engine has.

    Args:
        before: the result that its folder had when it was handed over.
    """

    job: Job
    before: Stamp
    task: Task | None = None

    @property
    def begun(self) -> bool:
        return self.job.sweep.job_file(self.job.number, self.job.kind).exists()

    @property
    def over(self) -> bool:
        """Has its folder a result that it had not before?"""
        return stamp(self.job) != self.before and any(stamp(self.job))


@dataclass
class Elsewhere:
    """Does the jobs of a sweep through an engine.

    Args:
        width: jobs of a pack, at most.
    """

    engine: Engine
    width: int
    watch: Watch
    hands: dict[str, list[InHand]] = field(default_factory=dict)
    tries: dict[tuple[bool, int], int] = field(default_factory=dict)

    def do(self, jobs: Sequence[Job]) -> None:
        """All of `jobs`; each leaves its result, or its failure, in its run's folder."""
        missing = [job for job in jobs if not self.found(job)]
        self.tries = dict.fromkeys((job.place for job in missing), 0)
        waiting = deque(packs(self.adopt(missing), self.width))
        while waiting or self.hands:
            self.give([waiting.popleft() for _ in range(min(len(waiting), self.room))])
            began = time.monotonic()
            over = {*self.hands} - self.engine.working(self.hands)
            for name in [*self.hands]:
                self.look(name)
            until = time.monotonic() + self.engine.late
            for name in over:
                waiting.extend([job] for job in self.lost(name, until))
            if not over:
                time.sleep(max(PERIOD, min(LONGEST, 9 * (time.monotonic() - began))))

    @property
    def room(self) -> int:
        return max(0, self.engine.at_once - len(self.hands))

    def found(self, job: Job) -> bool:
        """Is its result there? Then it is none of the engine's."""
        folder = RunFolder.of(job.config)
        if present(job.config, folder, folder.scored if job.trial else folder.finished):
            job.sweep.begin(job.number, folder.path, job.kind)
            task = self.watch.began(job.number, job.config, job.trial)
            self.watch.ended(task, outcome_of(job), found=True)
            return True
        return False

    def give(self, some: Sequence[Sequence[Job]]) -> None:
        if not some:
            return
        hands = [[InHand(job, stamp(job)) for job in pack] for pack in some]
        for job in (job for pack in some for job in pack):  # of an attempt before
            job.sweep.job_file(job.number, job.kind).unlink(missing_ok=True)
        names = self.engine.submit([[job.write().resolve() for job in pack] for pack in some])
        for name, pack in zip(names, hands, strict=True):
            self.hands[name] = pack
        self.note(some[0][0].sweep)

    def note(self, sweep: Sweep) -> None:
        packs = {name: [file_of(own.job) for own in pack] for name, pack in self.hands.items()}
        sweep.give(packs)

    def adopt(self, jobs: Sequence[Job]) -> list[Job]:
        """Take over what a process that is gone has handed to the engine; returns the others."""
        if not jobs:
            return []
        given, own = jobs[0].sweep.given(), {file_of(job): job for job in jobs}
        for name in sorted(self.engine.working(given) if given else ()):
            pack = [own.pop(file) for file in given[name] if file in own]
            if pack:
                self.hands[name] = [InHand(job, stamp(job)) for job in pack]
                log.info(f"{self.engine.shown}: {name} is at work already")
        return [*own.values()]

    def look(self, name: str) -> None:
        """Tell what is new of a pack."""
        for own in [*self.hands[name]]:
            if own.task is None and own.begun:
                own.task = self.watch.began(own.job.number, own.job.config, own.job.trial)
            if own.task is not None and own.over:
                self.watch.ended(own.task, outcome_of(own.job), found=False)
                self.hands[name].remove(own)

    def lost(self, name: str, until: float) -> Iterator[Job]:
        """The jobs of a pack that is over which have no result and a try left: each is then done
        alone.

        Args:
            until: when a result that is there is seen here, on the clock of time.monotonic.
        """
        while self.hands[name] and time.monotonic() < until:
            self.look(name)
            if self.hands[name]:
                time.sleep(PERIOD)
        for own in self.hands.pop(name):
            job, how = own.job, self.engine.told(name)
            self.tries[job.place] += 1
            if self.tries[job.place] < TRIES:
                log.warning(f"warning: {RunFolder.of(job.config).name} begins again: {how}")
                yield job
            else:
                job.sweep.begin(job.number, RunFolder.of(job.config).path, job.kind)
                task = own.task or self.watch.began(job.number, job.config, job.trial)
                self.watch.ended(task, failed(job, how), found=False)

    def stop(self) -> None:
        """What was handed over is taken back."""
        try:
            self.engine.cancel([*self.hands])
        finally:
            self.engine.close()

    def dismiss(self) -> None:
        self.engine.close()


def file_of(job: Job) -> str:
    """Of a job, as its sweep's folder has it."""
    return f"{job.kind}/{job.number}"


def stamp(job: Job) -> Stamp:
    """Tells one result of a job's folder from another, by no clock but that of its disk."""
    names = (SCORED, TRIAL_FAILED, FILE) if job.trial else (FILE, FAILED)
    return tuple(identity(RunFolder.of(job.config).path / name) for name in names)


def identity(file: Path) -> tuple[int, int] | None:
    try:
        there = file.stat()
    except OSError:
        return None
    return there.st_ino, there.st_mtime_ns
