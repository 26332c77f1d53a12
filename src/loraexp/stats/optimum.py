"""Where a loss over learning rates is lowest, between the rates that were tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Optimum:
    """
    Args:
        rate: where the loss is lowest, between those that were tried.
        loss: the lowest that was measured.
    """

    rate: float
    loss: float


def optimum(rates: Sequence[float], losses: Sequence[float]) -> Optimum | None:
    """The vertex of the parabola through the lowest loss and its neighbours, over the logarithm of
    the rate.

    It lies nearer to the lowest than to its neighbours where rates are equally far apart. The loss
    is not that of the parabola: beside a rate that all but diverged it would be far below any that
    was measured. A neighbour that is infinite tells nothing: the lowest itself is then taken.

    Args:
        rates: rising. losses: of each; infinite where training diverged.

    Returns:
        None where the lowest is at an end: the best rate may lie beyond it.
    """
    at = min(range(len(losses)), key=lambda place: losses[place])
    if not 0 < at < len(losses) - 1:
        return None
    x = [math.log(rate) for rate in rates[at - 1 : at + 2]]
    y = losses[at - 1 : at + 2]
    if not all(map(math.isfinite, y)):
        return Optimum(rates[at], losses[at])
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    bend = (right - left) / (x[2] - x[0])
    if bend <= 0:  # all three are equal
        return Optimum(rates[at], losses[at])
    place = (x[0] + x[1]) / 2 - left / (2 * bend)
    return Optimum(math.exp(place), y[1])
