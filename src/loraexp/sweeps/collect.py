"""Runs on the disk, finished or failed: found below folders or through a sweep, filtered by their
settings."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from loraexp.errors import UserError
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
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.sweep_folder import JOBS, TRIALS, Sweep, named_in


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
    below = {Path(at) for at, *names in os.walk(folder) if files & {*chain(*names)}}
    jobs = {named_in(job) for kind in (JOBS, TRIALS) for job in folder.glob(f"{kind}/*.txt")}
    return {run.resolve() for run in below | jobs}
