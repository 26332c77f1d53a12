"""The charts of a comparison: accuracy by row, over rank, labels, parameters; loss over rates."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from loraexp.report.chart import (
    MOST,
    Chart,
    Dot,
    Dots,
    Lines,
    Panel,
    Point,
    Series,
    axis,
    in_panels,
    log_axis,
)
from loraexp.report.reliability import reliability_chart
from loraexp.results.arm_keys import learnt_from
from loraexp.results.arms import Arm, Comparison
from loraexp.results.settings import spelled
from loraexp.results.tables import Cell, Column, Ends, Table, ends, percent

MOST_ROWS = 30
NAME = Column("row", "row", words=True)
ACCURACY = Column("test", "test", percent(1))
OVER_SEEDS = Column("over_seeds", "95 % seeds", ends, words=True, ends=True)
OVER_TEXTS = Column("over_texts", "95 % texts", ends, words=True, ends=True)
LOSS = Column("loss", "validation loss", lambda loss: f"{loss:.4f}")
RATE = Column("lr", "lr", lambda rate: f"{rate:g}")
PARAMETERS = Column("trainable", "trainable")
TEST = "test accuracy (%)"


def charts(
    found: Sequence[Arm], by: Sequence[str], against: Sequence[Comparison | None]
) -> dict[str, Chart]:
    """All that have something to show, by their file's name; the first is the main one."""
    drawn = {
        "rank": rank_chart(found, by),
        "labels": label_chart(found, by),
        "rows": row_chart(found, by, against),
        "parameters": parameter_chart(found, by),
        "lr": rate_chart(found, by),
        "reliability": reliability_chart(
            max(found, key=lambda a: a.chosen.validation).chosen.records
        ),
    }
    if drawn["rank"] or drawn["labels"]:
        del drawn["rows"]  # the same numbers
    return {name: chart for name, chart in drawn.items() if chart is not None}


def scores_table(found: Sequence[Arm], by: Sequence[str], size: bool = False) -> Table:
    seeds = [arm.seeds.ends for arm in found]
    texts: list[Ends | None] = [
        None if ends else arm.texts.ends for arm, ends in zip(found, seeds, strict=True)
    ]
    rows: list[list[Cell]] = [
        [spelled(by, arm.name), arm.trainable if size else None, arm.seeds.mean, *ends]
        for arm, *ends in zip(found, seeds, texts, strict=True)
    ]
    return Table([NAME, PARAMETERS, ACCURACY, OVER_SEEDS, OVER_TEXTS], rows)


def interval(arm: Arm) -> tuple[Ends | None, str]:
    """In percent, over the seeds or of one seed over the texts; and in words."""
    known, what = arm.seeds.ends, f"{len(arm.accuracies)} seeds"
    if known is None:
        known, what = arm.texts.ends, "the texts"
    mean = f"{100 * arm.seeds.mean:.1f} %"
    if known is None:
        return None, mean
    low, high = (100 * end for end in known)
    return (low, high), f"{mean} (95 % over {what}: {low:.1f} to {high:.1f})"


def bars(found: Sequence[Arm]) -> str:
    """What the bars of these are."""
    single = [arm for arm in found if arm.seeds.ends is None]
    over = "the texts" if len(single) == len(found) else "the seeds"
    mixed = ", of one seed over the texts" if 0 < len(single) < len(found) else ""
    return f"bars are 95 % intervals over {over}{mixed}"


def point(x: float, arm: Arm, by: Sequence[str]) -> Point:
    around, words = interval(arm)
    return Point(x, 100 * arm.seeds.mean, around, f"{spelled(by, arm.name)}: {words}")


def heights(found: Sequence[Arm]) -> list[float]:
    """All that a chart of accuracies must hold."""
    inside = [100 * arm.seeds.mean for arm in found]
    return [*inside, *(end for arm in found for end in interval(arm)[0] or ())]


def lines(caption: str, panels: Sequence[Panel], table: Table) -> Lines:
    """Small multiples have no room for the names of their axes."""
    if len(panels) > 1:
        caption += f" Upwards {panels[0].y.label}, across {panels[0].x.label}."
    return Lines(caption, panels, table)


def rank_chart(found: Sequence[Arm], by: Sequence[str]) -> Lines | None:
    if "lora.rank" not in by:
        return None
    at = [*by].index("lora.rank")
    ranked = [arm for arm in found if arm.name[at] is not None]
    return chart_over("lora.rank", "rank", ranked, by, lambda arm: int(arm.name[at]))


def label_chart(found: Sequence[Arm], by: Sequence[str]) -> Lines | None:
    """A learning curve (data.per_class)."""
    if "data.per_class" not in by:
        return None
    return chart_over("data.per_class", "train texts", found, by, train_texts)


def train_texts(arm: Arm) -> int:
    return learnt_from(arm.chosen.records[0])


def chart_over(
    key: str, what: str, found: Sequence[Arm], by: Sequence[str], x: Callable[[Arm], int]
) -> Lines | None:
    """A line for all that names an arm but `key`."""
    rows: dict[str, list[Arm]] = {}
    for arm in found:
        rows.setdefault(spelled(by, arm.name, key), []).append(arm)
    if max(map(len, rows.values()), default=0) < 2:
        return None
    shown = [arm for members in rows.values() for arm in members]
    series = [
        Series(name, [point(x(arm), arm, by) for arm in sorted(members, key=x)], number)
        for number, (name, members) in enumerate(rows.items())
    ]
    across = log_axis(what, map(x, shown), "{:,}".format)
    panels = in_panels(series, across, axis(TEST, heights(shown), 100))
    caption = f"Test accuracy over the {what.replace('train', 'number of train')}; {bars(shown)}."
    return lines(caption, panels, scores_table(shown, by))


def row_chart(
    found: Sequence[Arm], by: Sequence[str], against: Sequence[Comparison | None]
) -> Dots | None:
    """Of more than 30 rows the best ones."""
    if len(found) < 2:
        return None
    order = sorted(range(len(found)), key=lambda at: -found[at].seeds.mean)
    kept = sorted(order[:MOST_ROWS])
    tested = any(one is not None and one.p is not None for one in against)
    rows = []
    for at in kept:
        one, arm = against[at], found[at]
        strong = not tested or one is None or (one.p is not None and not one.significant)
        rows.append(Dot(spelled(by, arm.name), 100 * arm.seeds.mean, interval(arm)[0], strong))
    kept_arms = [found[at] for at in kept]
    caption = f"Test accuracy; {bars(kept_arms)}"
    if tested:
        caption += "; filled: what is compared with, and what is not told apart from it"
    if len(kept) < len(found):
        caption += f"; the best {len(kept)} of {len(found)} rows"
    places = axis(TEST, heights(kept_arms), 100)
    return Dots(f"{caption}.", rows, places, scores_table(kept_arms, by))


def parameter_chart(found: Sequence[Arm], by: Sequence[str]) -> Lines | None:
    """The line joins arms that no cheaper one matches; of many arms only these are named."""
    sizes = sorted({arm.trainable for arm in found})
    if len(sizes) < 2:
        return None
    front: list[Arm] = []
    for arm in sorted(found, key=lambda arm: (arm.trainable, -arm.seeds.mean)):
        if not front or arm.seeds.mean > front[-1].seeds.mean:
            front.append(arm)
    named = found if len(found) <= MOST else front[-MOST:]
    steps = [Point(a.trainable, 100 * b.seeds.mean) for a, b in stairs(front)]
    series = [Series("best so far", steps, None, marked=False, named=False)]
    for arm in found:
        own, name = [point(arm.trainable, arm, by)], spelled(by, arm.name)
        if arm in named:
            series.append(Series(name, own, named.index(arm), joined=False))
        else:
            series.append(Series(name, own, None, joined=False, named=False))
    x = log_axis("trainable parameters", sizes, short, MOST)
    caption = (
        f"Test accuracy over trainable parameters; the line is the best so far, {bars(found)}."
    )
    y = axis(TEST, heights(found), 100)
    return Lines(caption, [Panel("", series, x, y)], scores_table(found, by, size=True))


def stairs(front: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Whose x and whose y: level until the next arm, then up."""
    corners = [(front[0], front[0])]
    for before, arm in pairwise(front):
        corners += [(arm, before), (arm, arm)]
    return corners


def short(number: float) -> str:
    """1,234,567 is 1.2M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def rate_chart(found: Sequence[Arm], by: Sequence[str]) -> Lines | None:
    """A line an arm, every rate that was tried on the axis: is the best inside the grid?"""
    tried = {spelled(by, arm.name): sorted(arm.rates.items()) for arm in found}
    tried = {name: pairs for name, pairs in tried.items() if len(pairs) > 1}
    if not tried:
        return None
    series = [
        Series(
            name,
            [
                Point(rate, loss, None, f"{name}, rate {rate:g}: {loss:.4f}")
                for rate, loss in pairs
                if math.isfinite(loss)
            ],
            number,
        )
        for number, (name, pairs) in enumerate(tried.items())
    ]
    rows: list[list[Cell]] = [[name, *pair] for name, pairs in tried.items() for pair in pairs]
    rates = [rate for pairs in tried.values() for rate, _ in pairs]
    losses = [loss for pairs in tried.values() for _, loss in pairs]
    x = log_axis("learning rate", rates, lambda rate: f"{rate:g}")
    caption = "Validation loss over the learning rate: the best should not be at an end."
    y = axis("validation loss (nats a text)", losses)
    return lines(caption, in_panels(series, x, y), Table([NAME, RATE, LOSS], rows))
