"""A reliability figure: how often labels are right, over the probability they were given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loraexp.records.record import Record
from loraexp.report.chart import Lines, Panel, Point, Series, axis
from loraexp.results.tables import Cell, Column, Table, ends, percent
from loraexp.stats.significance import wilson_interval

BINS = (
    Column("confidence", "confidence", percent(1)),
    Column("accuracy", "accuracy", percent(1)),
    Column("accuracy_95", "95 % texts", ends, words=True, ends=True),
    Column("count", "texts"),
)


def reliability_chart(records: Sequence[Record]) -> Lines | None:
    """Of the test texts of runs of one setting, added up; None of records that are too old to have
    their bins."""
    scores = [record.metrics["test"] for record in records]
    sizes = {len(score.get("reliability", ())) for score in scores}
    if len(sizes) > 1 or 0 in sizes:
        return None
    bins = np.sum([score["reliability"] for score in scores], axis=0)
    table = of_bins(bins[bins[:, 0] > 0], len(records))
    points = [point(row) for row in table.rows]
    lowest = min(value for p in points for value in (p.x, p.y, *(p.ends or ())))
    line = [Point(lowest, lowest), Point(100, 100)]
    series = [
        Series("as it says", line, None, marked=False, named=False),
        Series("test texts", points, named=False),
    ]
    x = axis("probability of the label it gives (%)", [lowest, 100], 100)
    y = axis("of these right (%)", [lowest, 100], 100)
    errors = [score["ece"] for score in scores if score.get("ece") is not None]
    said = (
        f", an expected calibration error of {100 * np.mean(errors):.1f} points" if errors else ""
    )
    caption = (
        f"How often labels are right over how sure they are{said}: below the grey line it "
        "promises too much; bars are 95 % intervals over the texts of a bin."
    )
    return Lines(caption, [Panel("", series, x, y)], table)


def of_bins(bins: NDArray[np.float64], runs: int) -> Table:
    """
    Args:
        bins: (M, 3) texts, right ones, sum of confidence; none without a text.
        runs: over which they are added up, on the same texts.
    """
    rows: list[list[Cell]] = []
    for n, right, confidence in bins.tolist():
        around = wilson_interval(right / n, max(1, round(n / runs))).ends
        rows.append([confidence / n, right / n, around, round(n)])
    return Table(BINS, rows)


def point(row: Sequence[Cell]) -> Point:
    confidence, accuracy, around, n = row
    assert isinstance(confidence, float)
    assert isinstance(accuracy, float)
    assert isinstance(around, tuple)
    low, high = (100 * end for end in around)
    words = f"{n} texts, sure to {confidence:.1%}: {accuracy:.1%} right ({low:.1f} to {high:.1f} %)"
    return Point(100 * confidence, 100 * accuracy, (low, high), words)
