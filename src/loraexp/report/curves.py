"""The curves of a run, from its metrics.csv: loss and accuracy while it trained, smoothed."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from loraexp.errors import UserError
from loraexp.report.chart import Axis, Lines, Panel, Point, Series, axis
from loraexp.results.tables import Cell, Column, Table, percent
from loraexp.runtime.atomic import read_text

CURVES = "metrics.csv"
MOST = 1e40  # float32, in which it trains, ends before; axes cannot be drawn for all of float64
DRAWN = 80  # points of a line: more are not seen
LOSS = Column("loss", "loss", lambda loss: f"{loss:.4f}")

Curve = tuple[list[int], list[float]]  # steps and values


def read_curves(file: Path) -> dict[str, Curve]:
    """Each column of a metrics.csv as (steps, values), without its gaps.

    Raises:
        UserError: a file that is damaged, or none.
    """
    curves: dict[str, Curve] = defaultdict(lambda: ([], []))
    try:
        lines = io.StringIO(read_text(file.parent, file.name), newline="")
        for cells in csv.DictReader(lines):
            for name, value in cells.items():
                if value and name not in ("step", "epoch"):
                    place, height = int(cells["step"]), float(value)
                    if abs(place) > MOST or MOST < abs(height) < math.inf:
                        raise ValueError(f"{name} is out of range")
                    curves[name][0].append(place + 1)
                    curves[name][1].append(height)
    except (ValueError, TypeError, KeyError, OSError, csv.Error) as error:
        raise UserError(f"{file} is damaged: {error!r:.200}") from None
    return curves


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and its neighbours, `width` in all; fewer at the ends."""
    half = width // 2
    near = (values[max(0, at - half) : at + half + 1] for at in range(len(values)))
    return [math.fsum(some) / len(some) for some in near]


def width_of(count: int) -> int:
    """Of the smoothing of so many values: a fifth of them, an odd number; 1 of a few."""
    return 2 * (count // 10) + 1


def curve_chart(file: Path) -> Lines | None:
    """Loss and accuracy over the steps; None where nothing was measured.

    Raises:
        UserError: as read_curves.
    """
    curves = read_curves(file)
    shown = {n: known for n, curve in curves.items() if (known := finite(curve))[0]}
    last = max((curve[0][-1] for curve in shown.values()), default=0)
    panels = [
        panel(shown, name, scale, last)
        for name, scale in (("loss", 1.0), ("accuracy", 100.0))
        if {f"train_{name}", f"val_{name}"} & {*shown}
    ]
    if not panels:
        return None
    width = width_of(len(shown.get("train_loss", ([], []))[0]))
    caption = "Loss and accuracy while it trained"
    caption += f"; those of train are means of {width} batches around a step." if width > 1 else "."
    return Lines(caption, panels, curve_table(shown))


def finite(curve: Curve) -> Curve:
    pairs = [(step, value) for step, value in zip(*curve, strict=True) if math.isfinite(value)]
    return [step for step, _ in pairs], [value for _, value in pairs]


def panel(curves: Mapping[str, Curve], name: str, scale: float, last: int) -> Panel:
    series = []
    if train := curves.get(f"train_{name}"):
        values = smoothed([scale * value for value in train[1]], width_of(len(train[1])))
        series.append(line("train", (train[0], values), 0, last))
    if validation := curves.get(f"val_{name}"):
        own = (validation[0], [scale * value for value in validation[1]])
        series.append(line("validation", own, 1, last))
    heights = [point.y for one in series for point in one.points]
    label = "loss (nats a text)" if name == "loss" else "accuracy (%)"
    y = axis(label, heights, 100 if name == "accuracy" else math.inf, zero=name == "loss")
    return Panel("", series, steps_axis(last), y, keyed=True)


def line(name: str, curve: Curve, style: int, last: int) -> Series:
    """A line; a single value is drawn level, as text and not as a dot that nobody can place."""
    points = [*zip(*curve, strict=True)]
    if len(points) == 1:
        ((x, y),) = points
        level = [Point(0, y, words=f"{name}, step {x}: {y:.4g}"), Point(last, y)]
        return Series(f"{name} {y:.3g}", level, style, marked=False)
    every = math.ceil(len(points) / DRAWN)
    kept = [p for at, p in enumerate(points) if at % every == 0 or at == len(points) - 1]
    marked = name == "validation"
    words = (f"{name}, step {x}: {y:.4g}" if marked else "" for x, y in kept)
    drawn = [Point(x, y, words=said) for (x, y), said in zip(kept, words, strict=True)]
    return Series(name, drawn, style, marked=marked)


def steps_axis(last: int) -> Axis:
    whole = axis("optimizer step", [0, last], zero=True)
    ticks = [(value, f"{value:.0f}") for value, _ in whole.ticks if value == round(value)]
    return Axis(whole.label, 0, whole.high, ticks)


def curve_table(curves: Mapping[str, Curve]) -> Table:
    """A row a step at which validation was measured, with the last of train before it."""
    columns = [Column("step", "step")]
    names = [n for n in ("train_loss", "val_loss", "train_accuracy", "val_accuracy") if n in curves]
    for name in names:
        said = name.replace("_", " ").replace("val ", "validation ")
        show = LOSS.show if name.endswith("loss") else percent(1)
        columns.append(Column(name.replace("accuracy", "acc"), said, show))
    steps = next(curves[n][0] for n in ("val_loss", "val_accuracy", *names) if n in curves)
    at_most = math.ceil(len(steps) / 20)
    rows: list[list[Cell]] = []
    for step in [s for at, s in enumerate(steps) if at % at_most == 0 or s == steps[-1]]:
        before = [[v for s, v in zip(*curves[n], strict=True) if s <= step][-1:] for n in names]
        rows.append([step, *(value[0] if value else None for value in before)])
    return Table(columns, rows)
