"""Charts as files of a run or a sweep: PNG, SVG and PDF, drawn by matplotlib."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from rich.cells import cell_len

from loraexp.report.chart import (
    Axis,
    Chart,
    Dots,
    Panel,
    Series,
    label_places,
    thinned,
)
from loraexp.report.curves import CURVES, curve_chart
from loraexp.report.glyphs import drawable, families
from loraexp.runtime.atomic import whole
from loraexp.runtime.quiet import quieted

# Okabe and Ito's palette, its light ones darker; markers and dashes tell lines apart without it.
COLOURS = ("#0072B2", "#C04B00", "#00805B", "#B2568E", "#8A6100", "#50606E")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.", (0, (3, 1)), (0, (1, 1)))
GREY = "#767676"
LETTER = 0.062  # inches a letter of 8 points takes, on average
LONGEST = 28  # letters of a name


def plot_loss(folder: Path) -> None:
    """loss.png, .svg and .pdf of a run from its metrics.csv; none where nothing was measured."""
    if chart := curve_chart(folder / CURVES):
        save(draw(chart), folder / "loss")


@contextmanager
def drawing() -> Iterator[None]:
    """Around all that makes or keeps a figure: no random names inside; no LaTeX, to which a text
    could give commands, even if matplotlibrc asks for it; no remarks on the fonts there are."""
    rules: dict[Any, Any] = {"svg.hashsalt": "loraexp", "text.usetex": False}
    with rc_context(rules), quieted(logging.getLogger("matplotlib"), level=logging.ERROR):
        yield


@drawing()
def draw(chart: Chart) -> Figure:
    if isinstance(chart, Dots):
        return draw_rows(chart)
    count = len(chart.panels)
    columns = count if count < 3 else 2 if count == 4 else min(4, count)
    rows = -(-count // columns)
    wide, high = (4.8, 3.2) if count == 1 else (3.6, 3.0) if count == 2 else (2.4, 2.0)
    names = [one.name for panel in chart.panels if not panel.keyed for one in panel.labelled()]
    beside = LETTER * max((cell_len(drawable(name, LONGEST)) for name in names), default=0)
    figure = Figure(figsize=(columns * (wide + beside), rows * high), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        draw_panel(axes, panel, beside)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    if rows > 1:  # small multiples: the names of their axes once
        figure.supxlabel(chart.panels[0].x.label, fontsize=10)
        figure.supylabel(chart.panels[0].y.label, fontsize=10)
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def draw_panel(axes: Axes, panel: Panel, beside: float) -> None:
    scale(axes, panel)
    tidy(axes)
    for one in panel.series:
        draw_series(axes, one)
    if panel.title:
        name = drawable(panel.title, LONGEST)
        axes.set_title(name, fontsize=9, loc="left", family=families([name]))
    else:
        axes.set(xlabel=panel.x.label, ylabel=panel.y.label)
    if panel.keyed and panel.labelled():
        place: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
        axes.legend(frameon=False, ncols=len(panel.labelled()), fontsize=8, **place)
    elif panel.labelled():
        draw_names(axes, panel, beside)


def scale(axes: Axes, panel: Panel) -> None:
    if panel.x.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    axes.set_yticks([v for v, _ in panel.y.ticks], [text for _, text in panel.y.ticks])
    width = 1.9 if panel.title else 3.2  # inches of an axis, about
    places = [width * panel.x.share(value) for value, _ in panel.x.ticks]
    most = max((LETTER * 1.2 * len(text) for _, text in panel.x.ticks), default=0)
    slanted = any(b - a < most + 0.05 for a, b in pairwise(places))
    shown = thinned([(place, 0.13 if slanted else most) for place in places], 0)
    texts = [text if kept else "" for (_, text), kept in zip(panel.x.ticks, shown, strict=True)]
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if slanted else {}
    axes.set_xticks([v for v, _ in panel.x.ticks], texts, **slant)
    if panel.title:
        axes.tick_params(labelsize=8)


def draw_series(axes: Axes, series: Series) -> None:
    at = (series.style or 0) % len(COLOURS)
    look: dict[str, Any] = {
        "color": GREY if series.style is None else COLOURS[at],
        "linestyle": DASHES[at] if series.joined else "none",
        "marker": MARKERS[at] if series.marked else "none",
        "zorder": 2 if series.style is None else 3,
        "linewidth": 1.3,
        "markersize": 5,
    }
    x, y = [p.x for p in series.points], [p.y for p in series.points]
    name = drawable(series.name, LONGEST)
    if any(p.ends for p in series.points):
        ends = [p.ends or (p.y, p.y) for p in series.points]
        errors = [
            [max(0.0, p.y - low) for p, (low, _) in zip(series.points, ends, strict=True)],
            [max(0.0, high - p.y) for p, (_, high) in zip(series.points, ends, strict=True)],
        ]
        axes.errorbar(x, y, errors, label=name, capsize=3, **look)
    else:
        axes.plot(x, y, label=name, **look)


def draw_names(axes: Axes, panel: Panel, beside: float) -> None:
    """Each at the last point of its line, none over another."""
    named = panel.labelled()
    width, height = 3.9, 2.6  # inches of the axes, about
    ends = [
        (
            width * panel.x.share(one.points[-1].x),
            height * (1 - panel.y.share(one.points[-1].y)) - (0 if one.joined else 0.11),
        )
        for one in named
    ]
    names = [drawable(one.name, LONGEST) for one in named]
    widths = [LETTER * cell_len(name) + 0.12 for name in names]
    heights = label_places(ends, widths, 0.15)
    for one, name, (x, _), y in zip(named, names, ends, heights, strict=True):
        colour = GREY if one.style is None else COLOURS[one.style % len(COLOURS)]
        font: dict[str, Any] = {"size": 8, "family": families([name]), "weight": "bold"}
        place = (x / width + (0.025 if one.joined else 0.01), 1 - y / height)
        axes.text(*place, name, transform=axes.transAxes, color=colour, va="center", **font)


def draw_rows(chart: Dots) -> Figure:
    names = [drawable(row.name, 40) for row in chart.rows]
    longest = LETTER * 1.1 * max(map(cell_len, names))
    figure, axes = canvas(3.6 + longest, 0.8 + 0.24 * len(names))
    for at, row in enumerate(chart.rows):
        colour = COLOURS[0] if row.strong else GREY
        if row.ends:
            axes.plot(row.ends, [at, at], color=colour, linewidth=1.3)
        face = colour if row.strong else "white"
        axes.plot([row.value], [at], "o", color=colour, markerfacecolor=face, markersize=5)
    set_rows(axes, chart.x, names)
    return figure


def set_rows(axes: Axes, x: Axis, names: Sequence[str]) -> None:
    """The first at the top."""
    axes.set(xlim=(x.low, x.high), ylim=(len(names) - 0.4, -0.6), xlabel=x.label)
    axes.set_xticks([v for v, _ in x.ticks], [text for _, text in x.ticks])
    axes.set_yticks(range(len(names)), names, family=families(names), fontsize=8)
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


# No date: the same run gives the same files.
KINDS: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 150},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
}


@drawing()
def save(figure: Figure, stem: Path, kinds: Sequence[str] = tuple(KINDS)) -> None:
    for kind in kinds:
        with whole(stem.with_suffix(kind)) as partial:
            figure.savefig(partial, format=kind[1:], **KINDS[kind])
