"""What runs say of texts, written as a table, CSV or JSON lines."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loraexp.errors import cut
from loraexp.runtime.escape import printable, spreadsheet_safe

Verdict = tuple[str, float]  # a label and its probability
Prediction = tuple[str, list[Verdict]]  # a text, and the verdict of each run
Writer = Callable[[Iterable[Prediction], list[str], TextIO], None]


def pick_format(wanted: str, out: Path | None) -> str:
    if wanted != "auto":
        return wanted
    if out is not None:
        return "json" if out.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"
    return "table" if sys.stdout.isatty() else "csv"


def write_table(predictions: Iterable[Prediction], names: list[str], out: TextIO) -> None:
    """Label and probability of each run, and as much of the text as fits the line."""
    width = Console().width
    for number, name in enumerate(names, start=1):
        out.write(f"{number}: {printable(name)}\n")
    for text, verdicts in predictions:
        said = "  ".join(f"{printable(label):<12} {chance:6.4f}" for label, chance in verdicts)
        line = f"{said}  {printable(text)}"
        out.write(cut(line, width) + "\n")
        out.flush()


def write_csv(
    predictions: Iterable[Prediction],
    names: list[str],
    out: TextIO,
    safe: Callable[[str], str] = spreadsheet_safe,
) -> None:
    """For spreadsheets: a text that would run as a formula is led by an apostrophe, and so is one
    that begins with an apostrophe. Less the first apostrophe where there is one, it is the text."""
    # Texts quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    suffixes = [f" ({safe(name)})" for name in names] or [""]
    columns = [f"{kind}{suffix}" for suffix in suffixes for kind in ("label", "probability")]
    writer.writerow([*columns, "text"])
    for text, verdicts in predictions:
        cells = [cell for label, p in verdicts for cell in (safe(label), round(p, 6))]
        writer.writerow([*cells, safe(text)])


def write_json(predictions: Iterable[Prediction], names: list[str], out: TextIO) -> None:
    """JSON lines, the text as it was; of several runs, each under its name."""
    for text, verdicts in predictions:
        said = [{"label": label, "probability": round(p, 6)} for label, p in verdicts]
        own = {"runs": dict(zip(names, said, strict=True))} if names else said[0]
        out.write(json.dumps({**own, "text": text}, ensure_ascii=False) + "\n")


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
