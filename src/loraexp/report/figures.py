"""The figures that a sweep leaves: the charts of its comparison, and which classes it confuses."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from loraexp.records.record import Record
from loraexp.report.charts import charts
from loraexp.report.glyphs import drawable, families
from loraexp.report.plots import COLOURS, canvas, draw, drawing, tidy
from loraexp.results.arm_keys import naming
from loraexp.results.arms import Arm, arms
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.classes import classes, total
from loraexp.results.paired import compare
from loraexp.results.tables import Table

CONFUSION = "confusion"


@drawing()
def figures(
    records: Sequence[Record],
    by: Sequence[str],
    beside: Beside = NOTHING,
    only: Collection[str] = (),
) -> dict[str, Figure]:
    """Every figure that these runs have something to show in, by its file's name.

    Args:
        only: the names of those that are wanted; all, if none.
    """
    by = naming(records, by)
    found = arms(records, by, beside.trials)
    every = charts(found, by, compare(found), beside)
    drawn = {name: draw(chart) for name, chart in every.items() if not only or name in only}
    if not only or CONFUSION in only:
        confused = confusion_figure(max(found, key=lambda arm: arm.chosen.validation))
        drawn |= {CONFUSION: confused} if confused else {}
    return drawn


def confusion_figure(arm: Arm) -> Figure | None:
    """Test texts by true and predicted label, added up over the seeds; of many labels the pairs
    that are confused most, None without any."""
    records = arm.chosen.records
    found = classes(records)
    if not found.matrix.rows:
        return pairs_figure(found.pairs) if found.pairs.rows else None
    labels, counts = records[0].labels, total(records)
    size = max(2.6, 0.45 * len(labels) + 1.4)
    figure, axes = canvas(size + 0.4, size)
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    shown = [drawable(name, 16) for name in labels]
    fonts = families(shown)
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(labels) > 3 else {}
    axes.set_xticks(range(len(labels)), shown, family=fonts, **slant)
    axes.set_yticks(range(len(labels)), shown, family=fonts)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def pairs_figure(pairs: Table) -> Figure:
    names = [f"{drawable(str(a), 24)} → {drawable(str(b), 24)}" for a, b, _ in pairs.rows]
    counts = [int(str(count)) for *_, count in pairs.rows]
    figure, axes = canvas(6.4, 0.8 + 0.24 * len(names))
    axes.barh(range(len(names)), counts, color=COLOURS[0], height=0.6)
    for at, count in enumerate(counts):
        axes.text(count, at, f" {count:,}", va="center", fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names, family=families(names), fontsize=8)
    axes.set_xlabel("test texts, true → predicted")
    axes.set_xticks([])
    tidy(axes)
    axes.grid(visible=False)
    return figure
