"""What is printed of a split that was measured: its scores, every class, which are confused."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.console import Console

from loraexp.report.pages import scores
from loraexp.results.classes import Classes, of_counts, pairs
from loraexp.results.notes import of_label
from loraexp.results.refused import refused
from loraexp.results.tables import Table, to_csv, to_markdown, to_terminal
from loraexp.runtime.escape import printable

MOST_CLASSES, MOST_PAIRS = 20, 10  # of a terminal
SHORTEST = 12  # letters that are left of a class's name


@dataclass(frozen=True)
class Measured:
    """
    Args:
        run: its folder. labels: of its classes. metrics: as in a record.
    """

    run: str
    split: str
    labels: Sequence[str]
    metrics: Mapping[str, Any]

    @cached_property
    def classes(self) -> Classes:
        return of_counts(self.labels, np.array(self.metrics["confusion"]))

    @cached_property
    def pairs(self) -> Table:
        """All of them; of classes there are at least two."""
        return pairs(self.labels, np.array(self.metrics["confusion"]), most=len(self.labels) ** 2)

    @property
    def scores(self) -> Table:
        return scores({self.split: self.metrics})

    @cached_property
    def refused(self) -> Table:
        return refused([self.metrics])

    @property
    def note(self) -> str:
        return f"F1, precision, recall of the split are {of_label(self.labels)}."


def as_text(found: Measured) -> str:
    """As much as a terminal has room for, the worst first."""
    every, confused = found.classes.each, found.pairs
    parts = [
        to_terminal(found.scores),
        cut(every, MOST_CLASSES, "classes, the least F1 first; all: format=csv"),
    ]
    if confused.rows:
        parts.append(cut(confused, MOST_PAIRS, "pairs that are confused; all: format=markdown"))
    parts += [to_terminal(found.refused)] if found.refused.rows else []
    return "\n\n".join([*parts, found.note])


def cut(table: Table, most: int, what: str) -> str:
    """The first rows, names as short as the line needs, and that there are more."""
    shown = to_terminal(short_names(Table(table.columns, table.rows[:most])))
    count = len(table.rows)
    return f"{shown}\n{most} of {count:,} {what}" if count > most else shown


def short_names(table: Table) -> Table:
    """Names cut in the middle, so that rows are lines."""
    words = [at for at, column in enumerate(table.columns) if column.words and not column.ends]
    columns = [max(map(len, cells)) + 1 for cells in zip(*table.shown(), strict=True)]
    room = Console().width + 1 - sum(n for at, n in enumerate(columns) if at not in words)
    most = max(SHORTEST, room // len(words) - 1)
    rows = [
        [middle(printable(str(cell)), most) if at in words else cell for at, cell in enumerate(row)]
        for row in table.rows
    ]
    return Table(table.columns, rows)


def middle(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most // 2]}…{name[most // 2 + 1 - most :]}"


def as_markdown(found: Measured) -> str:
    tables = [found.scores, found.classes.each, found.pairs, found.refused]
    return "\n\n".join([*(to_markdown(t.filled()) for t in tables if t.rows), found.note])


def as_json(found: Measured) -> str:
    """All that was measured; a row of the confusion is a line."""
    content = {"run": found.run, "split": found.split, "labels": [*found.labels], **found.metrics}
    text = json.dumps(content, indent=2)
    return re.sub(r"\[[\s\d,]+\]", lambda row: f"[{' '.join(row[0][1:-1].split())}]", text)


FORMATS: dict[str, Callable[[Measured], str]] = {
    "table": as_text,
    "csv": lambda found: to_csv(found.classes.each),
    "markdown": as_markdown,
    "json": as_json,
}
