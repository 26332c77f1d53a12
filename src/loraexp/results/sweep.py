"""The folder of a sweep: which runs it is made of, in what order, and how far it has come."""

import time
from dataclasses import dataclass
from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.results.record import (
    Failure,
    Record,
    is_failed,
    is_finished,
    read_failure,
    read_record,
)

PLAN, JOBS = "plan.txt", "jobs"


@dataclass(frozen=True)
class Sweep:
    """Jobs may run in several processes: they meet in this folder's files.

    plan.txt has the run folder of each job that was planned; jobs/<number>.txt that of one begun.
    """

    folder: Path

    def plan(self, runs: list[Path]) -> None:
        write_whole(self.folder / PLAN, "".join(f"{run.resolve()}\n" for run in runs))

    def planned(self) -> list[Path]:
        return [Path(line) for line in (self.folder / PLAN).read_text().splitlines()]

    def begin(self, number: int, run: Path) -> None:
        write_whole(self.folder / JOBS / f"{number:06}.txt", f"{run.resolve()}\n")

    def begun(self) -> list[Path]:
        """Run folders in the order of the jobs' numbers, each once."""
        files = sorted((self.folder / JOBS).glob("*.txt"))
        return list(dict.fromkeys(Path(file.read_text().strip()) for file in files))

    def outcomes(self) -> list[Record | Failure]:
        """What became of the jobs that ended, in their order."""
        ended: list[Record | Failure] = []
        for run in self.begun():
            if is_finished(run):
                ended.append(read_record(run))
            elif is_failed(run):
                ended.append(read_failure(run))
        return ended

    def standing(self, number: int) -> str:
        """One line on where the sweep stands when job `number` (from 0) begins."""
        planned = self.planned()
        line = f"job {number + 1} of {max(len(planned), number + 1)}"
        records = [one for one in self.outcomes() if isinstance(one, Record)]
        if records:
            best = max(records, key=lambda record: record.metrics["validation"]["accuracy"])
            accuracy = best.metrics["validation"]["accuracy"]
            line += f"; best validation accuracy so far {accuracy:.1%} ({best.name})"
        if left := self.seconds_left(planned):
            line += f"; about {duration(left)} left"
        return line

    def seconds_left(self, planned: list[Path]) -> float | None:
        """The wall time a job took since the sweep began, times the jobs that are not finished."""
        began = (self.folder / PLAN).stat().st_mtime
        ended = [run / "record.json" for run in planned if is_finished(run)]
        trained = sum(file.stat().st_mtime > began for file in ended)
        if not trained:
            return None
        return (time.time() - began) / trained * (len(planned) - len(ended))


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
