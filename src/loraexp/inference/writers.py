"""What runs say of texts, written as a table, CSV or JSON lines."""

import csv
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loraexp.errors import UserError, cut
from loraexp.runtime.escape import printable, spreadsheet_safe

Verdict = list[tuple[str, float]]  # labels and their probabilities, the likeliest first


class Prediction(NamedTuple):
    """A text, the verdict of each run, and the cells that were beside it in its file."""

    text: str
    verdicts: list[Verdict]
    cells: Sequence[str] = ()


@dataclass(frozen=True)
class Shape:
    """What is written of each text.

    Args:
        labels: of each run, in its order. names: of the runs; none if there is but one.
        top: labels of a verdict that are written, the likeliest first. every: the probabilities of
            all others, too, each in a column of its own.
        carried: names of the cells.
        thresholds: of each run, the largest probability below which a text is refused as out of
            scope; none where nobody asks.
    """

    labels: Sequence[Sequence[str]]
    names: Sequence[str] = ()
    top: int = 1
    every: bool = False
    carried: Sequence[str] = ()
    thresholds: Sequence[float] = ()

    @property
    def asked(self) -> int:
        """Labels that a verdict must have."""
        return max(map(len, self.labels)) if self.every else self.top

    def columns(self, safe: Callable[[str], str]) -> list[str]:
        """Of a CSV but the text, each name made `safe`."""
        own = []
        for number, labels in enumerate(self.labels):
            of = f" ({safe(self.names[number])})" if self.names else ""
            for place in range(min(self.top, len(labels))):
                th = f" {place + 1}" if place else ""
                own += [f"label{th}{of}", f"probability{th}{of}"]
            own += [f"p({safe(label)}){of}" for label in labels] if self.every else []
            own += [f"refused{of}"] if self.thresholds else []
        return [*map(safe, self.cell_names({*own, "text"})), *own]

    def cell_names(self, taken: Collection[str]) -> list[str]:
        """What the cells are called beside names of ours.

        Raises:
            UserError: two of them alike.
        """
        names = [f"{name} (file)" if name in taken else name for name in self.carried]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"columns: two would be called {cut(name)!r}")
        return names

    def numbers(self, number: int, verdict: Verdict) -> Iterator[str | float]:
        """The cells of one run's verdict."""
        for label, chance in verdict[: self.top]:
            yield from (label, round(chance, 6))
        if self.every:
            chances = dict(verdict)
            yield from (round(chances[label], 6) for label in self.labels[number])
        if self.thresholds:
            yield str(self.refuses(number, verdict)).lower()

    def refuses(self, number: int, verdict: Verdict) -> bool:
        """Is the text out of scope to a run? It is if its likeliest label is not likely enough."""
        return bool(self.thresholds) and verdict[0][1] < self.thresholds[number]


Writer = Callable[[Iterable[Prediction], Shape, TextIO], None]


def pick_format(wanted: str, out: Path | None) -> str:
    if wanted != "auto":
        return wanted
    if out is not None:
        return "json" if out.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"
    return "table" if sys.stdout.isatty() else "csv"


def write_table(predictions: Iterable[Prediction], shape: Shape, out: TextIO) -> None:
    """Labels and probabilities of each run, and as much of the text as fits the line."""
    width = Console().width
    for number, name in enumerate(shape.names, start=1):
        out.write(f"{number}: {printable(name)}\n")
    for text, verdicts, cells in predictions:
        said = [f"{printable(cell):<8}" for cell in cells]
        for number, verdict in enumerate(verdicts):
            said += [f"{printable(label):<12} {chance:6.4f}" for label, chance in verdict]
            said += ["out of scope"] if shape.refuses(number, verdict) else []
        line = "  ".join([*said, printable(text)])
        out.write(cut(line, width) + "\n")
        out.flush()


def write_csv(
    predictions: Iterable[Prediction],
    shape: Shape,
    out: TextIO,
    safe: Callable[[str], str] = spreadsheet_safe,
) -> None:
    """For spreadsheets: a text that would run as a formula is led by an apostrophe, and so is one
    that begins with an apostrophe. Less the first apostrophe where there is one, it is the text."""
    # Texts quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*shape.columns(safe), "text"])
    for text, verdicts, cells in predictions:
        numbers = (cell for at, own in enumerate(verdicts) for cell in shape.numbers(at, own))
        row = [*cells, *numbers, text]
        writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in row])


def write_json(predictions: Iterable[Prediction], shape: Shape, out: TextIO) -> None:
    """JSON lines, the text as it was; of several runs, each under its name."""
    taken = {"runs", "text"} if shape.names else {"label", "probability", *SEVERAL, "text"}
    names = shape.cell_names(taken | {"refused"} if shape.thresholds else taken)
    for text, verdicts, cells in predictions:
        said = [in_json(shape, number, verdict) for number, verdict in enumerate(verdicts)]
        own = {"runs": dict(zip(shape.names, said, strict=True))} if shape.names else said[0]
        beside = dict(zip(names, cells, strict=True))
        out.write(json.dumps({**beside, **own, "text": text}, ensure_ascii=False) + "\n")


SEVERAL = ("top", "probabilities")


def in_json(shape: Shape, number: int, verdict: Verdict) -> dict[str, Any]:
    ranked = [{"label": label, "probability": round(chance, 6)} for label, chance in verdict]
    chances = {one["label"]: one["probability"] for one in ranked}
    own: dict[str, Any] = {**ranked[0]}
    if shape.top > 1:
        own["top"] = ranked[: shape.top]
    if shape.every:
        own["probabilities"] = {label: chances[label] for label in shape.labels[number]}
    if shape.thresholds:
        own["refused"] = shape.refuses(number, verdict)
    return own


WRITERS: dict[str, Writer] = {
    "table": write_table,
    "csv": write_csv,
    "unguarded csv": partial(write_csv, safe=str),
    "json": write_json,
}


class Counted:
    """Pass on, with a count of texts on a terminal's stderr."""

    def __init__(self, predictions: Iterable[Prediction]) -> None:
        self.predictions = predictions
        self.number = 0

    def __iter__(self) -> Iterator[Prediction]:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} texts"), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("")
            for prediction in self.predictions:
                yield prediction
                self.number += 1
                progress.advance(task)
