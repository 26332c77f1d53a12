"""What a sweep looks like: figures over arms, readable in grey and by the colour-blind."""

from collections.abc import Collection, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter
from rich.cells import cell_len

from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arm_keys import naming
from loraexp.results.arms import Arm, arms
from loraexp.results.report.glyphs import drawable, families
from loraexp.results.report.plots import canvas, drawing, tidy
from loraexp.results.settings import heading

# Okabe and Ito's palette; markers and dashes tell lines apart without it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h", "d", "8")
DASHES = ("-", "--", "-.", ":")


@drawing()
def figures(
    records: Sequence[Record], by: Sequence[str], trials: Collection[Trial | Failure] = ()
) -> dict[str, Figure]:
    """Every figure that these runs have something to show in, by its file's name.

    Args:
        trials: runs that only looked for a learning rate.
    """
    by = naming(records, by)
    found = arms(records, by, trials)
    made = {
        "rank": rank_figure(found, by),
        "parameters": parameter_figure(found, by),
        "lr": rate_figure(found, by),
        "confusion": confusion_figure(max(found, key=lambda arm: arm.chosen.validation)),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def style(number: int) -> dict[str, Any]:
    """Of the line or point of this number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.2,
    }


def label(arm: Arm, by: Sequence[str], without: str = "") -> str:
    parts = []
    for key, value in zip(by, arm.name, strict=True):
        if key != without and value is not None:
            parts.append(value if isinstance(value, str) else f"{heading(key)} {value}")
    return ", ".join(parts)


def rank_figure(found: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Test accuracy over the rank, a line for all else that names an arm; 95 % over the seeds."""
    if "lora.rank" not in by:
        return None
    at = [*by].index("lora.rank")
    lines: dict[str, list[Arm]] = {}
    for arm in found:
        if arm.name[at] is not None:
            lines.setdefault(label(arm, by, "lora.rank"), []).append(arm)
    if max(map(len, lines.values()), default=0) < 2:
        return None
    figure, axes = canvas(4.8, 3.2)
    for number, (name, members) in enumerate(lines.items()):
        members = sorted(members, key=lambda arm: arm.name[at])
        points([arm.name[at] for arm in members], members, axes, name, style(number))
    axes.set_xscale("log", base=2)
    ranks = sorted({arm.name[at] for members in lines.values() for arm in members})
    axes.set_xticks(ranks, [str(rank) for rank in ranks], minor=False)
    axes.set(xlabel="rank", ylabel="test accuracy (%)")
    return tidy(legended(figure, len(lines)), axes)


def points(
    places: Sequence[float], members: Sequence[Arm], axes: Axes, name: str, look: dict[str, Any]
) -> None:
    means = [100 * arm.seeds.mean for arm in members]
    errors: list[list[float]] = [[], []]
    for arm in members:
        low, high = arm.seeds.low, arm.seeds.high
        errors[0].append(0.0 if low is None else 100 * (arm.seeds.mean - low))
        errors[1].append(0.0 if high is None else 100 * (high - arm.seeds.mean))
    axes.errorbar(places, means, errors, label=drawable(name), capsize=3, markersize=5, **look)


def parameter_figure(found: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Test accuracy over what trains; the line joins arms that no cheaper one matches."""
    sizes = [arm.chosen.records[0].counts["trainable"] for arm in found]
    if len({*sizes}) < 2:
        return None
    figure, axes = canvas(4.8, 3.2)
    front: list[tuple[float, float]] = []
    for size, arm in sorted(zip(sizes, found, strict=True), key=lambda pair: pair[0]):
        if not front or arm.seeds.mean > front[-1][1]:
            front.append((size, arm.seeds.mean))
    axes.plot(
        [size for size, _ in front],
        [100 * mean for _, mean in front],
        color="#999999",
        linewidth=1,
        zorder=0,
        drawstyle="steps-post",
        label="best so far",
    )
    for number, (size, arm) in enumerate(zip(sizes, found, strict=True)):
        points([size], [arm], axes, label(arm, by), {**style(number), "linestyle": "none"})
    axes.set_xscale("log")
    wide = max(sizes) > 100 * min(sizes)  # beyond two decades ticks between would overlap
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="trainable parameters", ylabel="test accuracy (%)")
    return tidy(legended(figure, len(found)), axes)


def legended(figure: Figure, lines: int) -> Figure:
    """With the names of its lines beside the axes, where they hide no point; one needs none."""
    if lines > 1:
        names = [name for axes in figure.axes for name in axes.get_legend_handles_labels()[1]]
        longest = max(map(cell_len, names))
        figure.set_figwidth(figure.get_figwidth() + max(1.4, 0.5 + 0.055 * longest))
        font = {"size": 7, "family": families(names)}
        figure.legend(loc="outside right upper", frameon=False, prop=font)
    return figure


def rate_figure(found: Sequence[Arm], by: Sequence[str]) -> Figure | None:
    """Validation loss over the learning rate, a line an arm: is the best inside the grid?"""
    lines = {}
    for arm in found:
        if len(arm.rates) > 1:
            lines[label(arm, by)] = sorted(arm.rates.items())
    if not lines:
        return None
    figure, axes = canvas(4.8, 3.2)
    for number, (name, pairs) in enumerate(lines.items()):
        axes.plot(*zip(*pairs, strict=True), label=drawable(name), markersize=5, **style(number))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="learning rate", ylabel="validation loss (nats a text)")
    return tidy(legended(figure, len(lines)), axes)


def confusion_figure(arm: Arm) -> Figure | None:
    """Test texts by true and predicted label, added up over the seeds."""
    records = arm.chosen.records
    labels = records[0].labels
    if len(labels) > 20:
        return None  # nobody could read it
    total = [[0] * len(labels) for _ in labels]
    for record in records:
        for i, row in enumerate(record.metrics["test"]["confusion"]):
            total[i] = [a + b for a, b in zip(total[i], row, strict=True)]
    size = max(2.6, 0.45 * len(labels) + 1.4)
    figure, axes = canvas(size + 0.4, size)
    shares = [[count / max(1, sum(row)) for count in row] for row in total]
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for i, row in enumerate(total):
        for j, count in enumerate(row):
            colour = "white" if shares[i][j] > 0.5 else "black"
            axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    shown = [drawable(name, 16) for name in labels]
    fonts = families(shown)
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(labels) > 3 else {}
    axes.set_xticks(range(len(labels)), shown, family=fonts, **slant)
    axes.set_yticks(range(len(labels)), shown, family=fonts)
    axes.set(xlabel="predicted", ylabel="true")
    return figure
