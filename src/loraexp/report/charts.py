"""The charts of a comparison: accuracy by row, over rank, labels, parameters; loss over rates."""

import math
from collections.abc import Callable, Sequence

from loraexp.report.chart import (
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
from loraexp.report.fronts import forgetting_chart, parameter_chart
from loraexp.report.of_arms import NAME, TEST, bars, heights, interval, point, scores_table
from loraexp.report.reliability import reliability_chart
from loraexp.results.arm_keys import learnt_from
from loraexp.results.arms import Arm
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.paired import Comparison
from loraexp.results.settings import spelled
from loraexp.results.tables import Cell, Column, Table

MOST_ROWS = 30
LOSS = Column("loss", "validation loss", lambda loss: f"{loss:.4f}")
RATE = Column("lr", "lr", lambda rate: f"{rate:g}")


def charts(
    found: Sequence[Arm],
    by: Sequence[str],
    against: Sequence[Comparison | None],
    beside: Beside = NOTHING,
) -> dict[str, Chart]:
    """All that have something to show, by their file's name; the first is the main one."""
    drawn = {
        "rank": rank_chart(found, by),
        "labels": label_chart(found, by),
        "rows": row_chart(found, by, against),
        "parameters": parameter_chart(found, by),
        "forgetting": forgetting_chart(found, by, beside),
        "lr": rate_chart(found, by),
        "reliability": reliability_chart(
            max(found, key=lambda a: a.chosen.validation).chosen.records
        ),
    }
    if drawn["rank"] or drawn["labels"]:
        del drawn["rows"]  # the same numbers
    return {name: chart for name, chart in drawn.items() if chart is not None}


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
