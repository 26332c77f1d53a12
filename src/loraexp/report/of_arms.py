"""What charts of arms share: points, the bars around these, and the same numbers as a table."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from loraexp.report.chart import Point
from loraexp.results.arms import Arm
from loraexp.results.settings import spelled
from loraexp.results.tables import Cell, Column, Ends, Table, ends, percent

NAME = Column("row", "row", words=True)
ACCURACY = Column("test", "test", percent(1))
OVER_SEEDS = Column("over_seeds", "95 % seeds", ends, words=True, ends=True)
OVER_TEXTS = Column("over_texts", "95 % texts", ends, words=True, ends=True)
PARAMETERS = Column("trainable", "trainable")
TEST = "test accuracy (%)"
NO_COSTS: Mapping[tuple[Any, ...], float] = MappingProxyType({})


def scores_table(
    found: Sequence[Arm],
    by: Sequence[str],
    cost: Column = PARAMETERS,
    costs: Mapping[tuple[Any, ...], float] = NO_COSTS,
) -> Table:
    seeds = [arm.seeds.ends for arm in found]
    texts: list[Ends | None] = [
        None if ends else arm.texts.ends for arm, ends in zip(found, seeds, strict=True)
    ]
    rows: list[list[Cell]] = [
        [spelled(by, arm.name), costs.get(arm.name), arm.seeds.mean, *ends]
        for arm, *ends in zip(found, seeds, texts, strict=True)
    ]
    return Table([NAME, cost, ACCURACY, OVER_SEEDS, OVER_TEXTS], rows)


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


def short(number: float) -> str:
    """1,234,567 is 1.2M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"
