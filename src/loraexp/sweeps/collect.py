"""Runs on the disk, finished or failed: found below folders or through a sweep, filtered by their
settings."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loraexp.errors import UserError, listed
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
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.sweep_folder import JOBS, TRIALS, Sweep, named_in

log = logging.getLogger("loraexp")


@dataclass(frozen=True)
class Collected:
    """What is below the folders, each run once, by its folder."""

    runs: Mapping[Path, Record]
    beside: Beside

    @property
    def records(self) -> list[Record]:
        return [*self.runs.values()]


def collect(folders: Sequence[str], where: Sequence[str]) -> Collected:
    """The runs below the folders; of a sweep's folder, those of its jobs.

    Args:
        where: conditions key=value that all must hold, of the config.

    Raises:
        UserError: a folder that is not there, a condition on no key, or no finished run.
    """
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
                if chosen(flat(record.config), where):
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
    found = Collected(runs, Beside([*failures.values()], [*trials.values()], looks))
    if not runs:
        conditions = f" with {', '.join(where)}" if where else ""
        failed = "".join(f"; {line}" for line in failed_lines(found.beside.failures))
        raise UserError(f"runs={','.join(folders)}: no finished run there{conditions}{failed}")
    return found


def candidates(folder: Path) -> set[Path]:
    """Folders that may hold a run's record, what validation texts gave, or the reason why there is
    neither."""
    # Not by glob, which leaves out links to nowhere: a record that is one is refused.
    files = {FILE, FAILED, SCORED, TRIAL_FAILED}
    below = {at for at, names in walk(folder) if files & names}
    return {run.resolve() for run in below} | jobs_of(folder)


def jobs_of(folder: Path) -> set[Path]:
    """The runs of a sweep, there or not; none of another folder."""
    jobs = {named_in(job) for kind in (JOBS, TRIALS) for job in folder.glob(f"{kind}/*.txt")}
    return {run.resolve() for run in jobs}


def warn_of_gone(folder: Path) -> None:
    """Of a sweep whose runs somebody has removed since."""
    jobs = jobs_of(folder)
    if gone := sorted(run.name for run in jobs if not run.is_dir()):
        log.warning(
            f"warning: {folder}: {len(gone)} of its {len(jobs)} runs are gone: {listed(gone, 3)}"
        )
