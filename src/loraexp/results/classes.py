"""Which classes are taken for which: a matrix of few, of many the pairs and a row a class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loraexp.records.record import Record
from loraexp.results.refused import refused
from loraexp.results.tables import Cell, Column, Ends, Table, ends, percent
from loraexp.stats.significance import wilson_interval

MOST_LABELS = 12  # of a matrix that somebody could read
MOST_PAIRS = 15
# Train texts that a rare class has at most, as in the evaluation code of Liu et al. 2019 (arXiv
# 1904.05160; low_shot_thr of shot_acc in utils.py), which is a mean over the classes, too.
RARE = 20
TRUE = Column("true", "true", words=True)
PAIRS = (TRUE, Column("predicted", "predicted", words=True), Column("count", "texts"))
OF_CLASS = (
    Column("label", "class", words=True),
    Column("n", "n"),
    *(
        column
        for name in ("recall", "precision", "f1")
        for column in (
            Column(name, name, percent(1)),
            Column(f"{name}_95", "95 %", ends, words=True, ends=True),
        )
    ),
)


@dataclass(frozen=True)
class Classes:
    """
    Args:
        matrix: test texts, a row a true label, a column a predicted one; without rows of many.
        pairs: the most frequent mistakes.
        each: a row a class, the least F1 first.
        refused: what a threshold refuses, where there were texts of no class.
    """

    matrix: Table
    pairs: Table
    each: Table
    refused: Table = Table([], [])


def classes(records: Sequence[Record]) -> Classes:
    """Of the test texts of runs with the same labels, added up."""
    found = of_counts(records[0].labels, total(records), len(records))
    return replace(found, refused=refused([record.metrics["test"] for record in records]))


def of_counts(labels: Sequence[str], counts: NDArray[np.int64], runs: int = 1) -> Classes:
    """
    Args:
        counts: (C, C) texts, a row a true label.
        runs: over which they are added up.
    """
    none, scored = Table([], []), each(labels, counts, runs)
    if len(labels) > MOST_LABELS:
        return Classes(none, pairs(labels, counts), scored)
    columns = [
        Column("true", "true \\ predicted", words=True),
        *(Column(f"as {x}", x) for x in labels),
    ]
    rows = [[label, *row] for label, row in zip(labels, counts.tolist(), strict=True)]
    return Classes(Table(columns, rows), none, scored)


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


def each(labels: Sequence[str], counts: NDArray[np.int64], runs: int = 1) -> Table:
    """A score without a text to be of is empty. Intervals are of another sample of as many texts;
    several runs on the same ones make these no more."""
    right, true, given = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows: list[list[Cell]] = []
    for label, hits, n, named in zip(
        labels, right.tolist(), true.tolist(), given.tolist(), strict=True
    ):
        recall, precision = share(hits, n, runs), share(hits, named, runs)
        rows.append([label, n, *recall, *precision, *f1(hits, n + named - hits, runs)])
    rows.sort(key=lambda row: (row[-2] is None, row[-2]))
    return Table(OF_CLASS, rows)


def share(part: int, whole: int, runs: int) -> tuple[float | None, Ends | None]:
    """A share and Wilson's interval of it."""
    if not whole:
        return None, None
    return part / whole, wilson_interval(part / whole, max(1, round(whole / runs))).ends


def f1(hits: int, either: int, runs: int) -> tuple[float | None, Ends | None]:
    """F1 and its interval: Wilson's of the Jaccard index J, carried over. Of the texts that have
    the label or got it, J is the share that has both; F1 = 2 J / (1 + J) rises with it, so the ends
    of the one are those of the other.

    Args:
        either: how many texts have the label, got it, or both.
    """
    index, around = share(hits, either, runs)
    if index is None or around is None:
        return None, None
    low, high = (2 * end / (1 + end) for end in around)
    return 2 * index / (1 + index), (low, high)


def macro_recall(record: Record) -> float | None:
    """Mean recall of the classes that have a test text."""
    return mean_recall(record, [True] * len(record.labels))


def rare_error(record: Record) -> float | None:
    """1 - mean recall of the rare classes; None where there is none, or sizes are not known."""
    sizes = train_sizes(record)
    recall = None if sizes is None else mean_recall(record, [n <= RARE for n in sizes])
    return None if recall is None else 1 - recall


def mean_recall(record: Record, kept: Sequence[bool]) -> float | None:
    counts = total([record])
    n = counts.sum(axis=1)
    there = (n > 0) & np.array(kept)
    return float((np.diag(counts)[there] / n[there]).mean()) if there.any() else None


def train_sizes(record: Record) -> list[int] | None:
    """How many train texts each class has; older records say so only if all were measured."""
    known: list[int] | None = record.data.get("train_classes")
    train = record.metrics["train"]
    if known is None and train["n"] == record.data["n"]["train"]:
        return [sum(row) for row in train["confusion"]]
    return known
