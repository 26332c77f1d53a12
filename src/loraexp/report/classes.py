"""Which classes are taken for which: a matrix of few, of many the pairs and a row a class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loraexp.records.record import Record
from loraexp.results.tables import Cell, Column, Table, percent

MOST_LABELS = 12  # of a matrix that somebody could read
MOST_PAIRS = 15
TRUE = Column("true", "true", words=True)
PAIRS = (TRUE, Column("predicted", "predicted", words=True), Column("count", "texts"))
OF_CLASS = (
    Column("label", "class", words=True),
    Column("n", "n"),
    *(Column(name, name, percent(1)) for name in ("recall", "precision", "f1")),
)


@dataclass(frozen=True)
class Classes:
    """
    Args:
        matrix: test texts, a row a true label, a column a predicted one; without rows of many.
        pairs: the most frequent mistakes.
        each: a row a class, the least recall first; of many classes only.
    """

    matrix: Table
    pairs: Table
    each: Table


def classes(records: Sequence[Record]) -> Classes:
    """Of the test texts of runs with the same labels, added up."""
    labels, counts = records[0].labels, total(records)
    none = Table([], [])
    if len(labels) > MOST_LABELS:
        return Classes(none, pairs(labels, counts), each(labels, counts))
    columns = [
        Column("true", "true \\ predicted", words=True),
        *(Column(f"as {x}", x) for x in labels),
    ]
    rows = [[label, *row] for label, row in zip(labels, counts.tolist(), strict=True)]
    return Classes(Table(columns, rows), none, none)


def total(records: Sequence[Record]) -> NDArray[np.int64]:
    """(C, C)"""
    tests = [np.asarray(record.metrics["test"]["confusion"], np.int64) for record in records]
    return np.sum(tests, axis=0, dtype=np.int64)


def pairs(labels: Sequence[str], counts: NDArray[np.int64], most: int = MOST_PAIRS) -> Table:
    """Off the diagonal, the largest first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    found = [(int(at) // len(labels), int(at) % len(labels)) for at in order]
    rows: list[list[Cell]] = [
        [labels[i], labels[j], int(wrong[i, j])] for i, j in found if wrong[i, j]
    ]
    return Table(PAIRS, rows)


def each(labels: Sequence[str], counts: NDArray[np.int64]) -> Table:
    """A score without a text to be of is empty."""
    right, true, given = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows: list[list[Cell]] = []
    for at, label in enumerate(labels):
        n, hits, named = int(true[at]), int(right[at]), int(given[at])
        recall = hits / n if n else None
        f1 = 2 * hits / (n + named) if n + named else None
        rows.append([label, n, recall, hits / named if named else None, f1])
    rows.sort(key=lambda row: (row[2] is None, row[2]))
    return Table(OF_CLASS, rows)
