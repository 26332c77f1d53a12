"""Runs on the disk, finished or failed: found below folders or through a sweep, filtered by their
settings."""

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loraexp.errors import UserError, listed
from loraexp.records.inspection import read_inspection
from loraexp.records.record import (
    FAILED,
    FILE,
    SCORED,
    TRIAL_FAILED,
    Failure,
    Record,
    Trial,
)
from loraexp.results.beside import Beside
from loraexp.results.notes import failed_lines
from loraexp.results.settings import chosen, flat
from loraexp.runs.removal import walk
from loraexp.runs.run_folder import CONFIG, RunFolder
from loraexp.runtime.locks import LOCK
from loraexp.sweeps.shown.debugging import debug_of, left_out
from loraexp.sweeps.sweep_folder import JOBS, TRIALS, Sweep, named_in

log = logging.getLogger("loraexp")
BASELINES = "also rows without a network, fitted to the same texts now (needs scikit-learn)"
RESULTS = {FILE, FAILED, SCORED, TRIAL_FAILED}
PRETRAINED = "pretrain.yaml"  # of a base that is being made, whose folder else looks like a run's


@dataclass(frozen=True)
class Collected:
    """What is below the folders, each run once, by its folder."""

    runs: Mapping[Path, Record]
    beside: Beside

    @property
    def records(self) -> list[Record]:
        return [*self.runs.values()]


def collect(folders: Sequence[str], where: Sequence[str], baselines: bool = False) -> Collected:
    """The runs below the folders; of a sweep's folder, or of one with sweeps in it, those of its
    jobs. Those of debug= stay out unless asked for.

    Args:
        where: conditions key=value that all must hold, of the config.
        baselines: with what needs no network, fitted to the same texts now.

    Raises:
        UserError: a folder that is not there, a condition on no key, no finished run, or no
            scikit-learn.
    """
    with no_collection():
        found = without_debug(read(folders, where), where)
    if not baselines:
        return found
    from loraexp.sweeps.shown.counting_words import lines_of  # pandas: not at start

    return replace(found, beside=replace(found.beside, lines=lines_of(found.records)))


def without_debug(found: Collected, where: Sequence[str]) -> Collected:
    of_runs = left_out([record.config for record in found.records], where)
    runs = [pair for pair, out in zip(found.runs.items(), of_runs, strict=True) if not out]
    if len(runs) == len(found.runs):
        return found
    failures = [one for one in found.beside.failures if debug_of(one.config) is None]
    return Collected(dict(runs), replace(found.beside, failures=failures))


def read(folders: Sequence[str], where: Sequence[str]) -> Collected:
    runs: dict[Path, Record] = {}
    failures: dict[Path, Failure] = {}
    trials: dict[Path, Trial | Failure] = {}
    for below in map(Path, folders):
        if not below.is_dir():
            raise UserError(f"runs={below}: no such folder")
        warn_of_gone(below)
        for run in sorted(candidates(below) - {*runs, *failures, *trials}):
            folder = RunFolder(run)
            if folder.finished:
                record = folder.record()
                if not where or chosen(flat(record.config), where):
                    runs[run] = record
            elif folder.failed:
                failure = folder.failure()
                if chosen(flat(failure.config), where):
                    failures[run] = failure
            if folder.tried:
                trial = folder.trial_or_failure()
                if chosen(flat(trial.config), where):
                    trials[run] = trial
    looks = Sweep(Path(folders[0])).looks() if len(folders) == 1 else None
    inspected = {one.adapter: one for one in map(read_inspection, runs) if one}
    beside = Beside([*failures.values()], [*trials.values()], looks, inspected=inspected)
    found = Collected(runs, beside)
    if not runs:
        conditions = f" with {', '.join(where)}" if where else ""
        failed = "".join(f"; {line}" for line in failed_lines(found.beside.failures))
        raise UserError(f"runs={','.join(folders)}: no finished run there{conditions}{failed}")
    return found


@contextmanager
def no_collection() -> Iterator[None]:
    """Without looking for circles among objects, of which records have none: of ten thousand that
    takes as long as to read them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def candidates(folder: Path, begun: bool = False) -> set[Path]:
    """Folders that may hold a run's record, what validation texts gave, or the reason why there is
    neither.

    Args:
        begun: also those in which a run began of which nothing else can be told.
    """
    # Not by glob, which leaves out links to nowhere: a record that is one is refused.
    # What is below is resolved as well, for no link is followed.
    found = walk(folder.resolve(), RESULTS)
    below = {at for at, names in found if RESULTS & names or (begun and has_begun(names))}
    return below | jobs_of(folder)


def has_begun(names: set[str]) -> bool:
    """Do a folder's files say that a run began there?"""
    return LOCK in names and bool({CONFIG, "checkpoints"} & names) and PRETRAINED not in names


def jobs_of(folder: Path) -> set[Path]:
    """The runs of a sweep, or of the sweeps in a folder, there or not; none of another folder."""
    places = [f"{above}{kind}/*.txt" for above in ("", "*/") for kind in (JOBS, TRIALS)]
    jobs = {named_in(job) for where in places for job in folder.glob(where)}
    return {run.resolve() for run in jobs}


def warn_of_gone(folder: Path) -> None:
    """Of a sweep whose runs somebody has removed since."""
    jobs = jobs_of(folder)
    if gone := sorted(run.name for run in jobs if not run.is_dir()):
        log.warning(
            f"warning: {folder}: {len(gone)} of its {len(jobs)} runs are gone: {listed(gone, 3)}"
        )
