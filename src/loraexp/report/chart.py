"""A chart as data: what is drawn, over which axes, and where the names of its lines stand.

`svg` draws one for a page, `plots` for the files that a run and a sweep leave.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loraexp.results.tables import Ends, Table

MOST = 6  # series of one panel that are told apart; more get panels of their own
MOST_PANELS = 12


@dataclass(frozen=True)
class Axis:
    """
    Args:
        low, high: its ends, in the units of the values.
        ticks: value and text of each.
        log: are equal ratios equally long?
    """

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Point:
    """
    Args:
        ends: of an interval around y.
        words: what a reader who points at it is told; "" for none.
    """

    x: float
    y: float
    ends: Ends | None = None
    words: str = ""


@dataclass(frozen=True)
class Series:
    """
    Args:
        style: which colour, dash and marker; None for grey.
        joined: by a line.
        marked: a sign at each point.
        named: its name stands at its last point.
    """

    name: str
    points: Sequence[Point]
    style: int | None = 0
    joined: bool = True
    marked: bool = True
    named: bool = True


@dataclass(frozen=True)
class Panel:
    """
    Args:
        keyed: names stand in a row above the plot, not beside the lines.
    """

    title: str
    series: Sequence[Series]
    x: Axis
    y: Axis
    keyed: bool = False

    def labelled(self) -> list[Series]:
        """Those whose names stand beside them: of a single one the title or the caption says it."""
        named = [one for one in self.series if one.named and one.points]
        return named if len(named) > 1 or any(not one.named for one in self.series) else []


@dataclass(frozen=True)
class Lines:
    """One panel, or small multiples over the same axes.

    Args:
        caption: what it shows, and how to read it.
        table: the same numbers.
    """

    caption: str
    panels: Sequence[Panel]
    table: Table


@dataclass(frozen=True)
class Dot:
    """
    Args:
        strong: the best, and what is not told apart from it.
    """

    name: str
    value: float
    ends: Ends | None
    strong: bool


@dataclass(frozen=True)
class Dots:
    """A value and its interval a row, the names at the left."""

    caption: str
    rows: Sequence[Dot]
    x: Axis
    table: Table


Chart = Lines | Dots


def axis(label: str, values: Iterable[float], most: float = math.inf, zero: bool = False) -> Axis:
    """A linear one with room around the values, and up to six ticks at round numbers."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.06 * (high - (0.0 if zero else low)) or max(abs(high) * 0.02, 0.01)
    low, high = (0.0 if zero else low - room), min(high + room, max(most, high))
    if high <= low:
        low, high = high - 1.0, high
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    count = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(label, low, high, [(n * step, f"{n * step:.{digits}f}") for n in count])


def log_axis(
    label: str, values: Iterable[float], show: Callable[[float], str], most: float = math.inf
) -> Axis:
    """A logarithmic one with a tick at each of the values; of more than `most`, at each decade."""
    known = sorted({*values})
    room = max((known[-1] / known[0]) ** 0.06, 1.05)
    places = known
    if len(known) > most:
        whole = range(math.ceil(math.log10(known[0])), math.floor(math.log10(known[-1])) + 1)
        places = [10.0**power for power in whole] or [known[0], known[-1]]
    ticks = [(value, show(value)) for value in places]
    return Axis(label, known[0] / room, known[-1] * room, ticks, log=True)


def in_panels(series: Sequence[Series], x: Axis, y: Axis) -> list[Panel]:
    """One panel for up to six series; of more each its own, and the last ones grey in one."""
    if len(series) <= MOST:
        return [Panel("", series, x, y)]
    alone = series if len(series) <= MOST_PANELS else series[: MOST_PANELS - 1]
    panels = [Panel(one.name, [grey(one, 0)], x, y) for one in alone]
    if rest := series[len(alone) :]:
        panels.append(Panel(f"{len(rest)} more", [grey(one, None) for one in rest], x, y))
    return panels


def grey(one: Series, style: int | None) -> Series:
    return Series(one.name, one.points, style, one.joined, one.marked, named=style is not None)


def label_places(
    ends: Sequence[tuple[float, float]], widths: Sequence[float], line: float
) -> list[float]:
    """The height of each label so that none lies over another: as near to its own as there is room.

    Args:
        ends: x and y of each, in the units of the drawing, y downwards.
        widths: of each label.
        line: the height of one.
    """
    placed: list[tuple[float, float, float]] = []
    order = sorted(range(len(ends)), key=lambda at: ends[at][1])
    heights = [0.0] * len(ends)
    for at in order:
        x, y = ends[at]
        near = [(a, b, h) for a, b, h in placed if a < x + widths[at] and x < b]
        tries = (y + sign * step * line / 2 for step in range(4 * len(ends)) for sign in (1, -1))
        free = (t for t in tries if all(abs(t - h) >= line - 1e-6 for _, _, h in near))
        heights[at] = next(free, y)
        placed.append((x, x + widths[at], heights[at]))
    return heights


def thinned(ticks: Sequence[tuple[float, float]], gap: float) -> list[bool]:
    """Which labels of ticks are shown, by place and width: no two closer than `gap`."""
    shown: list[bool] = []
    end = -math.inf
    for place, width in ticks:
        shown.append(place - width / 2 >= end + gap)
        if shown[-1]:
            end = place + width / 2
    return shown
