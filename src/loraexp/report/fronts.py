"""Accuracy over what it costs: parameters that train, and what the base forgets."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from loraexp.report.chart import MOST, Axis, Lines, Panel, Point, Series, axis, log_axis
from loraexp.report.of_arms import PARAMETERS, TEST, bars, heights, point, scores_table, short
from loraexp.results.arms import Arm
from loraexp.results.asked import INSPECTED, mean, several_texts
from loraexp.results.beside import Beside
from loraexp.results.settings import spelled
from loraexp.results.tables import Table


def parameter_chart(found: Sequence[Arm], by: Sequence[str]) -> Lines | None:
    sizes = {arm.name: arm.trainable for arm in found}
    x = log_axis("trainable parameters", sizes.values(), short, MOST) if sizes else None
    words = "trainable parameters; the line is the best so far"
    table = scores_table(found, by, PARAMETERS, sizes)
    return front_chart(found, by, sizes, x, words, table)


def forgetting_chart(found: Sequence[Arm], by: Sequence[str], beside: Beside) -> Lines | None:
    """What was learnt over what was forgotten (Biderman et al. 2024, section 4.3); of the arms of
    which every run was inspected on one text."""
    column = INSPECTED["forgetting"]
    known = {arm.name: mean(column, arm, beside) for arm in found}
    lost = {name: change for name, change in known.items() if change is not None}
    if not lost or several_texts(found, beside):
        return None
    found = [arm for arm in found if arm.name in lost]
    x = axis("forgotten (nats a token)", lost.values())
    words = "what the base forgot of general text; the line is the best so far"
    return front_chart(found, by, lost, x, words, scores_table(found, by, column.column, lost))


def front_chart(
    found: Sequence[Arm],
    by: Sequence[str],
    costs: Mapping[tuple[Any, ...], float],
    x: Axis | None,
    words: str,
    table: Table,
) -> Lines | None:
    """Test accuracy over a cost; the line joins arms that no cheaper one matches; of many arms only
    these are named.

    Args:
        costs: by an arm's name. words: what they are.
    """
    if x is None or len({*costs.values()}) < 2:
        return None
    front: list[Arm] = []
    for arm in sorted(found, key=lambda arm: (costs[arm.name], -arm.seeds.mean)):
        if not front or arm.seeds.mean > front[-1].seeds.mean:
            front.append(arm)
    named = found if len(found) <= MOST else front[-MOST:]
    steps = [Point(costs[a.name], 100 * b.seeds.mean) for a, b in stairs(front)]
    series = [Series("best so far", steps, None, marked=False, named=False)]
    for arm in found:
        own, name = [point(costs[arm.name], arm, by)], spelled(by, arm.name)
        if arm in named:
            series.append(Series(name, own, named.index(arm), joined=False))
        else:
            series.append(Series(name, own, None, joined=False, named=False))
    y = axis(TEST, heights(found), 100)
    caption = f"Test accuracy over {words}, {bars(found)}."
    return Lines(caption, [Panel("", series, x, y)], table)


def stairs(front: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Whose x and whose y: level until the next arm, then up."""
    corners = [(front[0], front[0])]
    for before, arm in pairwise(front):
        corners += [(arm, before), (arm, arm)]
    return corners
