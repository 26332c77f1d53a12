"""The figures of docs/regret.md, one a claim or two, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from loraexp.report.chart import MOST, Axis, Lines, Panel, Point, Series, axis, in_panels, log_axis
from loraexp.report.svg import to_file
from loraexp.results.regret.curves import curve_of, early, lowest, smoothed
from loraexp.results.regret.finding import Arms, all_layers, with_all_layers
from loraexp.results.regret.rows import Tried
from loraexp.results.tables import Column, Table
from loraexp.runtime.atomic import write_whole
from loraexp.stats.verdicts import Quantity

LOSS = "validation loss (nats a text)"
COLUMNS = (Column("row", "row", words=True), Column("x", "x"), Column("loss", "loss"))
Named = Mapping[str, Sequence[Point]]


def drawn(arms: Arms) -> Iterator[tuple[str, Lines]]:
    """Name and chart of each that has something to show."""
    by_rank = all_layers(arms)
    if by_rank:
        caption = "Validation loss over the learning rate, means over the seeds."
        names = {named(rank): tried for rank, tried in by_rank.items()}
        yield "rates", over_rates(caption, names)
    ranks = {rank: tried for rank, tried in by_rank.items() if rank}
    if len(ranks) > 1:
        yield "start", start(ranks)
        yield "capacity", capacity(ranks)
    kinds = {arm.targets: tried for arm, tried in arms.items() if arm.targets != "all"}
    if kinds:
        caption = "Validation loss over the learning rate by adapted layers, means over the seeds."
        yield "layers", over_rates(caption, kinds)
    if at_batches := batches(arms):
        yield "batches", at_batches


def write(arms: Arms, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in drawn(arms):
        write_whole(folder / f"{name}.svg", to_file(chart))


def named(rank: int) -> str:
    return f"rank {rank}" if rank else "full"


def chart(caption: str, some: Named, x: Axis, height: str, curves: bool = False) -> Lines:
    series = [
        Series(name, points, number, marked=not curves)
        for number, (name, points) in enumerate(some.items())
    ]
    every = [(name, point) for name, points in some.items() for point in points]
    heights = [end for _, point in every for end in (point.y, *(point.ends or ()))]
    rows = [[name, point.x, point.y] for name, point in every]
    y = axis(height, heights)
    panels = [Panel("", series, x, y, keyed=True)] if curves else in_panels(series, x, y)
    return Lines(caption, panels, Table(COLUMNS, rows))


def places(some: Named) -> list[float]:
    return [point.x for points in some.values() for point in points]


def over_rates(caption: str, some: Mapping[str, Tried]) -> Lines:
    points = {
        name: [
            Point(rate, mean)
            for rate, mean in zip(tried.rates, tried.means(), strict=True)
            if math.isfinite(mean)
        ]
        for name, tried in some.items()
    }
    x = log_axis("learning rate", places(points), lambda rate: f"{rate:g}")
    return chart(caption, points, x, LOSS)


def start(ranks: Mapping[int, Tried]) -> Lines:
    """Means over the seeds at one rate, of the first steps."""
    rate = ranks[max(ranks)].best_rate
    curves = {}
    for rank, tried in ranks.items():
        found = [one for seed in tried.seeds if (one := curve_of(tried, rate, seed))]
        losses = np.mean([early(smoothed(losses)) for _, losses in found], axis=0)
        curves[f"rank {rank}" if not curves else str(rank)] = [
            Point(*p) for p in zip(found[0][0], losses.tolist(), strict=False)
        ]
    caption = (
        f"Training loss of the first fifth of the steps at a rate of {rate:g}, over the seeds."
    )
    x = axis("optimizer step", places(curves))
    return chart(caption, curves, x, "training loss", curves=True)


def capacity(ranks: Mapping[int, Tried]) -> Lines:
    """Means over the seeds of the lowest loss of any rate."""
    rates = sorted(set.intersection(*({*tried.rates} for tried in ranks.values())))
    curves = {}
    for rank, tried in ranks.items():
        found = [one for seed in tried.seeds if (one := lowest(tried, rates, seed))]
        losses = np.mean([losses for _, losses in found], axis=0)
        curves[f"rank {rank}" if not curves else str(rank)] = [
            Point(*p) for p in zip(found[0][0], losses.tolist(), strict=True)
        ]
    caption = "Training loss, the lowest of any rate at each step, means over the seeds."
    x = log_axis("optimizer step", places(curves), lambda step: f"{step:g}", MOST)
    return chart(caption, curves, x, "training loss", curves=True)


def batches(arms: Arms) -> Lines | None:
    """Means over the seeds at each arm's best rate, and their intervals."""
    lines: dict[str, list[Point]] = {}
    for arm, tried in with_all_layers(arms).items():
        losses = [best.loss for best in tried.optima().values()]
        if losses:
            found = Quantity("", losses, 0, 0).interval()
            point = Point(arm.batch, found.mean, found.ends)
            lines.setdefault(named(arm.rank), []).append(point)
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    caption = "Validation loss at each arm's best rate; bars are 95 % intervals over the seeds."
    x = log_axis("texts a step", places(lines), lambda size: f"{size:g}")
    return chart(caption, lines, x, LOSS)
