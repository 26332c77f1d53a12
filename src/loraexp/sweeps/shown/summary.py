"""What a run or a sweep comes to: tables, figures, and what the terminal says beside them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loraexp.errors import listed
from loraexp.records.record import Failure, Record, Trial
from loraexp.results.answer import answers
from loraexp.results.arm_keys import naming, varied
from loraexp.results.arms import arms
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.comparison import findings
from loraexp.results.notes import score_notes, share_notes, train_notes
from loraexp.results.outside import how_lines, last_words
from loraexp.results.refused import refusal_notes
from loraexp.results.runs_table import runs_table
from loraexp.results.tables import FORMATS, Table, narrowed
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.escape import printable, wrapped
from loraexp.runtime.notebook import html_notes
from loraexp.sweeps.shown.counting_words import lines_of
from loraexp.sweeps.sweep_folder import Sweep, describe_job

if TYPE_CHECKING:
    import pandas as pd

# Of the table of runs, where a terminal is narrow.
EXPENDABLE = (
    "train_texts",
    "percent",
    "adapter_bytes",
    "alpha",
    "test_f1",
    "train_accuracy",
    "targets",
)
SHOWN = 3  # jobs that failed for one reason
MOST_ROWS = 12  # of runs, above a comparison


@dataclass(frozen=True, repr=False)
class Summary:
    """The outcomes of a sweep, or of one run.

    Args:
        tables: by name: `runs`, and `comparison` where a row has several runs (seeds, rates).
        text: the same for a terminal.
        below: what must be read with the comparison.
    """

    outcomes: Sequence[Record | Failure]
    beside: Beside
    tables: dict[str, Table]
    text: str
    below: Sequence[str] = ()

    @classmethod
    def of(cls, outcomes: Sequence[Record | Failure], beside: Beside = NOTHING) -> "Summary":
        table = runs_table(outcomes, beside.lines)
        tables = {"runs": table}
        brief = narrowed(table.without("failed"), EXPENDABLE)  # reasons are long
        lines, below = ["", FORMATS["table"](brief), ""], list[str]()
        records = finished(outcomes)
        if records and says_more(records, beside):
            compared = findings(records, varied(records), beside=beside)
            tables["comparison"] = compared.table
            if len(outcomes) > MOST_ROWS:  # what they come to would be out of sight
                lines = ["", f"{len(outcomes)} runs; table.csv has a row for each.", ""]
            below = compared.notes
            lines += [FORMATS["table"](compared.brief()), "", *wrapped(below), ""]
        return cls(outcomes, beside, tables, "\n".join(lines), below)

    @classmethod
    def of_sweep(cls, sweep: Sweep, baselines: bool = False) -> "Summary":
        outcomes = sweep.outcomes()
        beside = sweep.beside(outcomes)
        if baselines:
            beside = replace(beside, lines=lines_of(finished(outcomes)))
        return cls.of(outcomes, beside)

    @property
    def records(self) -> list[Record]:
        return finished(self.outcomes)

    def __repr__(self) -> str:
        return "\n".join([self.text.strip("\n"), *self.notes(), *map(printable, self.answers())])

    def _repr_html_(self) -> str:
        parts = [table._repr_html_() for table in self.tables.values()]
        return "".join([*parts, *map(html_notes, (self.below, [*self.notes(), *self.answers()]))])

    def to_frame(self) -> "pd.DataFrame":
        """A row a run, as pandas has it."""
        return self.tables["runs"].to_frame()

    def write(self, folder: Path) -> None:
        """table.csv and table.md, and comparison.csv if there is one."""
        write_whole(folder / "table.csv", FORMATS["csv"](self.tables["runs"]) + "\n")
        write_whole(folder / "table.md", FORMATS["markdown"](self.tables["runs"]) + "\n")
        if compared := self.tables.get("comparison"):
            write_whole(folder / "comparison.csv", FORMATS["csv"](compared) + "\n")

    def draw(self, folder: Path, only: Collection[str] = ()) -> list[Path]:
        """The figures of a sweep, or those of these names, in every format; returns the PNGs."""
        records = finished(self.outcomes)
        if len(records) < 2:
            return []
        from loraexp.report.figures import figures  # matplotlib: not at start
        from loraexp.report.plots import save

        pictures = []
        for name, figure in figures(records, varied(records), self.beside, only).items():
            save(figure, folder / name)
            pictures.append(folder / f"{name}.png")
        return pictures

    def answers(self) -> list[str]:
        """What the comparison comes to, nothing where nothing is compared; and what no network does
        as well."""
        records = finished(self.outcomes)
        if not records:
            return []
        by = varied(records)
        said = answers(records, by, self.beside)
        if self.beside.lines:
            said += last_words(arms(records, naming(records, by)), self.beside.lines)
        return said

    def notes(self) -> Iterator[str]:
        """What failed, and what a reader must know of the data and the base."""
        yield from by_reason("Failed", self.outcomes)
        yield from by_reason("Counts as the worst rate", [*self.beside.trials])
        records = finished(self.outcomes)
        synthetic = {record.data["note"] for record in records if record.data["synthetic"]}
        yield from (printable(f"Data: {note}.") for note in sorted(synthetic))
        if "comparison" not in self.tables:  # its notes say it
            yield from map(printable, how_lines(self.beside.lines))
            yield from map(printable, score_notes(records))
        yield from train_notes(records)
        yield from share_notes(records)
        yield from refusal_notes(records)
        if any(record.config["model"]["weights"] == "random" for record in records):
            yield "The base has random weights: it has learnt nothing before."


def says_more(records: Sequence[Record], beside: Beside) -> bool:
    """Does a comparison say what the table of runs does not: several seeds as one row, or which of
    several learning rates is each row's?"""
    if len({record.config["seed"] for record in records}) > 1:
        return True
    rows = arms(records, naming(records, varied(records)), beside.trials)
    return 1 < len(rows) < len(records)


def by_reason(lead: str, outcomes: Sequence[Record | Trial | Failure]) -> Iterator[str]:
    """Why jobs failed, a line a reason."""
    told: dict[str, list[str]] = {}
    for one in outcomes:
        if isinstance(one, Failure):
            told.setdefault(one.reason, []).append(describe_job(one, outcomes))
    for reason, jobs in told.items():
        yield printable(f"{lead}: {listed(jobs, SHOWN)}: {reason}")


def finished(outcomes: Sequence[Record | Failure]) -> list[Record]:
    return [outcome for outcome in outcomes if isinstance(outcome, Record)]
