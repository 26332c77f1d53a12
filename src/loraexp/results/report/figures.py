"""What a sweep looks like: figures over arms, readable in grey and by the colour-blind."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, LogLocator, NullFormatter
from rich.cells import cell_len

from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arm_keys import naming
from loraexp.results.arms import Arm, arms, label
from loraexp.results.report.glyphs import drawable, families
from loraexp.results.report.plots import canvas, drawing, tidy

# Okabe and Ito's palette; markers and dashes tell lines apart without it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h", "d", "8")
DASHES = ("-", "--", "-.", ":")
MOST_LABELS = 20  # of a confusion matrix that somebody could read


@drawing()
def figures(
    records: Sequence[Record], by: Sequence[str], trials: Collection[Trial | Failure] = ()
) -> dict[str, Figure]:
    """Every figure that these runs have something to show in, by its file's name.

    Args:
        trials: runs that only looked for a learning rate.
    """
    by = naming(records, by)
    compared = arms(records, by, trials)
    drawn = {
        "rank": rank_figure(compared, by),
        "parameters": parameter_figure(compared, by),
        "lr": rate_figure(compared, by),
        "confusion": confusion_figure(max(compared, key=lambda arm: arm.chosen.validation)),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def style(number: int) -> dict[str, Any]:
    """Of the line or point of this number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.2,
    }


def rank_figure(arms: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Test accuracy over the rank, a line for all else that names an arm; 95 % over the seeds."""
    if "lora.rank" not in by:
        return None
    at = [*by].index("lora.rank")
    lines: dict[str, list[Arm]] = {}
    for arm in arms:
        if arm.name[at] is not None:
            lines.setdefault(label(arm, by, {"lora.rank"}), []).append(arm)
    if max(map(len, lines.values()), default=0) < 2:
        return None
    figure, axes = canvas(4.8, 3.2)
    for number, (name, members) in enumerate(lines.items()):
        members = sorted(members, key=lambda arm: arm.name[at])
        points([arm.name[at] for arm in members], members, axes, name, style(number))
    axes.set_xscale("log", base=2)
    ranks = sorted({arm.name[at] for members in lines.values() for arm in members})
    axes.set_xticks(ranks, [str(rank) for rank in ranks], minor=False)
    return finished(figure, len(lines), "rank", "test accuracy (%)")


def points(
    places: Sequence[float], members: Sequence[Arm], axes: Axes, name: str, look: dict[str, Any]
) -> None:
    means = [100 * arm.seeds.mean for arm in members]
    ends = [arm.seeds.ends or (arm.seeds.mean, arm.seeds.mean) for arm in members]
    errors = [
        [100 * (arm.seeds.mean - low) for arm, (low, _) in zip(members, ends, strict=True)],
        [100 * (high - arm.seeds.mean) for arm, (_, high) in zip(members, ends, strict=True)],
    ]
    axes.errorbar(places, means, errors, label=drawable(name), capsize=3, markersize=5, **look)


def parameter_figure(arms: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Test accuracy over what trains; the line joins arms that no cheaper one matches."""
    sizes = {arm.trainable for arm in arms}
    if len(sizes) < 2:
        return None
    figure, axes = canvas(4.8, 3.2)
    front: list[Arm] = []
    for arm in sorted(arms, key=lambda arm: arm.trainable):
        if not front or arm.seeds.mean > front[-1].seeds.mean:
            front.append(arm)
    axes.plot(
        [arm.trainable for arm in front],
        [100 * arm.seeds.mean for arm in front],
        color="#999999",
        linewidth=1,
        zorder=0,
        drawstyle="steps-post",
        label="best so far",
    )
    for number, arm in enumerate(arms):
        points([arm.trainable], [arm], axes, label(arm, by), {**style(number), "linestyle": "none"})
    wide = max(sizes) > 100 * min(sizes)  # beyond two decades ticks between would overlap
    log_ticks(axes, (1,) if wide else (1, 2, 5), EngFormatter(sep=""))
    return finished(figure, len(arms), "trainable parameters", "test accuracy (%)")


def log_ticks(axes: Axes, digits: Sequence[float], form: Formatter) -> None:
    """A logarithmic x axis, with ticks at these digits of each decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=digits))
    axes.xaxis.set_major_formatter(form)
    axes.xaxis.set_minor_formatter(NullFormatter())


def finished(figure: Figure, lines: int, x: str, y: str) -> Figure:
    """With the names of its axes, and those of its lines beside them, where they hide no point; a
    single line needs none."""
    (axes,) = figure.axes
    axes.set(xlabel=x, ylabel=y)
    if lines > 1:
        names = axes.get_legend_handles_labels()[1]
        longest = max(map(cell_len, names))
        figure.set_figwidth(figure.get_figwidth() + max(1.4, 0.5 + 0.055 * longest))
        font = {"size": 7, "family": families(names)}
        figure.legend(loc="outside right upper", frameon=False, prop=font)
    return tidy(figure)


def rate_figure(arms: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Validation loss over the learning rate, a line an arm: is the best inside the grid?"""
    lines = {}
    for arm in arms:
        if len(arm.rates) > 1:
            lines[label(arm, by)] = sorted(arm.rates.items())
    if not lines:
        return None
    figure, axes = canvas(4.8, 3.2)
    for number, (name, pairs) in enumerate(lines.items()):
        axes.plot(*zip(*pairs, strict=True), label=drawable(name), markersize=5, **style(number))
    log_ticks(axes, (1, 3), FuncFormatter(lambda rate, _: f"{rate:g}"))
    return finished(figure, len(lines), "learning rate", "validation loss (nats a text)")


def confusion_figure(arm: Arm) -> Figure | None:
    """Test texts by true and predicted label, added up over the seeds."""
    records = arm.chosen.records
    labels = records[0].labels
    if len(labels) > MOST_LABELS:
        return None
    total = np.sum([record.metrics["test"]["confusion"] for record in records], axis=0)  # (C, C)
    size = max(2.6, 0.45 * len(labels) + 1.4)
    figure, axes = canvas(size + 0.4, size)
    shares = total / np.maximum(1, total.sum(1, keepdims=True))
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(total):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    shown = [drawable(name, 16) for name in labels]
    fonts = families(shown)
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(labels) > 3 else {}
    axes.set_xticks(range(len(labels)), shown, family=fonts, **slant)
    axes.set_yticks(range(len(labels)), shown, family=fonts)
    axes.set(xlabel="predicted", ylabel="true")
    return figure
