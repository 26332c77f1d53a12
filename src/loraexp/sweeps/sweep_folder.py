"""The folder of a sweep: which runs it is made of, in what order, and how far it has come."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loraexp.errors import UserError
from loraexp.records.inspection import read_inspection
from loraexp.records.record import (
    Failure,
    Record,
    Trial,
    by_loss,
)
from loraexp.results.beside import Beside
from loraexp.results.settings import by_name, differs, flat, heading
from loraexp.results.short_paths import cut_path
from loraexp.results.tables import Column, Table, percent
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.atomic import read_text, write_whole
from loraexp.stats.looks import Looks

PLAN, JOBS, TRIALS, LOOKS, GIVEN = "plan.txt", "jobs", "trials", "looks.json", "given.json"
LONGEST = 2**16  # bytes of a path


@dataclass(frozen=True)
class Sweep:
    """Jobs may run in several processes: they meet in this folder's files.

    plan.txt has the run folder of each job that was planned; jobs/<number>.txt that of one begun,
    trials/<number>.txt of one that is measured on validation texts alone; all as they are reached
    from here, so that outputs/ may be moved.
    """

    folder: Path

    def plan(self, runs: list[Path]) -> None:
        write_whole(self.folder / PLAN, "".join(f"{self.from_here(run)}\n" for run in runs))

    def planned(self) -> list[Path]:
        return [place(self.folder, line) for line in read_text(self.folder, PLAN).splitlines()]

    def declare(self, looks: Looks) -> None:
        """When seeds are added, before the first of them is trained."""
        write_whole(self.folder / LOOKS, json.dumps(asdict(looks)) + "\n")

    def looks(self) -> Looks | None:
        """The looks that were declared; None of a sweep with a fixed number of seeds.

        Raises:
            UserError: a file that declares none.
        """
        if not os.path.lexists(self.folder / LOOKS):
            return None
        try:
            content = json.loads(read_text(self.folder, LOOKS))
            return Looks(tuple(map(int, content["seeds"])), str(content["bound"]))
        except (ValueError, TypeError, KeyError, OSError, RecursionError) as error:
            raise UserError(f"{self.folder / LOOKS} is damaged: {error}") from None

    def begin(self, number: int, run: Path, kind: str = JOBS) -> None:
        write_whole(self.job_file(number, kind), f"{self.from_here(run)}\n")

    def job_file(self, number: int, kind: str = JOBS) -> Path:
        return self.folder / kind / f"{number:06}.txt"

    def give(self, packs: Mapping[str, Sequence[str]]) -> None:
        """What another engine has in hand: files of jobs by its own name of their pack."""
        write_whole(self.folder / GIVEN, json.dumps(packs) + "\n")

    def given(self) -> dict[str, list[str]]:
        """Raises:
        UserError: a file that says something else.
        """
        if not os.path.lexists(self.folder / GIVEN):
            return {}
        try:
            content = json.loads(read_text(self.folder, GIVEN))
            return {str(name): [*map(str, files)] for name, files in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self.folder / GIVEN} is damaged: {error}") from None

    def from_here(self, run: Path) -> str:
        return os.path.relpath(run.resolve(), self.folder.resolve())

    def begun(self, kind: str = JOBS) -> list[Path]:
        """Run folders in the order of the jobs' numbers, each once."""
        files = sorted((self.folder / kind).glob("*.txt"))
        return list(dict.fromkeys(named_in(file) for file in files))

    def outcomes(self) -> list[Record | Failure]:
        """What became of the jobs that ended, in their order."""
        ended: list[Record | Failure] = []
        for run in map(RunFolder, self.begun()):
            if run.finished:
                ended.append(run.record())
            elif run.failed:
                ended.append(run.failure())
        return ended

    def trials(self) -> list[Trial | Failure]:
        """What became of the jobs that were measured on validation texts alone, in their order."""
        return [run.trial_or_failure() for run in map(RunFolder, self.begun(TRIALS)) if run.tried]

    def beside(self, outcomes: Sequence[Record | Failure]) -> Beside:
        """What belongs to a comparison of its runs; also what `inspect` found of them since."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        inspected = {one.adapter: one for one in map(read_inspection, self.begun()) if one}
        return Beside(failures, self.trials(), self.looks(), inspected=inspected)


def place(sweep: Path, line: str) -> Path:
    """The run folder that a line in a sweep's folder names. Sweeps of before have whole paths: the
    run beside comes first, so that a copy does not read the place it was copied from."""
    beside = sweep / ".." / ".." / Path(*Path(line).parts[-2:])
    return (beside if Path(line).is_absolute() and beside.is_dir() else sweep / line).resolve()


def named_in(job: Path) -> Path:
    """The run folder that the file of a job names.

    Raises:
        UserError: no file, or one that names none.
    """
    try:
        return place(job.parents[1], read_text(job.parent, job.name, LONGEST).strip())
    except (OSError, ValueError, RuntimeError) as error:  # of a link to itself
        raise UserError(f"{job} names no run's folder: {error}") from None


def describe_job(
    one: Record | Trial | Failure, outcomes: Sequence[Record | Trial | Failure]
) -> str:
    """A job by what varies in its sweep and by its folder: lr_factor=3, seed=1: a-folder."""
    configs, own = [flat(other.config) for other in outcomes], flat(one.config)
    keys = [k for k in own if not k.startswith(("output_dir", "logger.")) and differs(k, configs)]
    varies = ", ".join(f"{heading(key)}={cut_path(str(own[key]))}" for key in by_name(keys))
    return f"{varies}: {one.name}" if varies else one.name


def trials_table(trials: Sequence[Trial | Failure]) -> Table:
    """One row a job of a search, the best by validation loss first; failed ones last."""
    ordered = sorted(trials, key=lambda one: by_loss(one) if isinstance(one, Trial) else math.inf)
    configs = [flat(one.config) for one in ordered]
    keys = [k for k in (configs[0] if configs else ()) if differs(k, configs)]
    rows = [
        [
            *(config[key] for key in keys),
            one.metrics["loss"] if isinstance(one, Trial) else None,
            one.metrics["accuracy"] if isinstance(one, Trial) else None,
            None if isinstance(one, Trial) else one.reason,
        ]
        for one, config in zip(ordered, configs, strict=True)
    ]
    columns = [
        *(Column(key, heading(key), setting, words=True) for key in keys),
        Column("validation_loss", "val loss", lambda loss: f"{loss:.4f}"),
        Column("validation_accuracy", "val", percent(1)),
        Column("failed", "failed", words=True),
    ]
    table = Table(columns, rows)
    return table if any(isinstance(one, Failure) for one in trials) else table.without("failed")


def setting(value: Any) -> str:
    """A number that a search drew needs no sixteen digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """75 -> "1 min 15 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )
