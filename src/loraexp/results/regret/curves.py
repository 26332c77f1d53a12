"""Curves of arms under one seed: the lowest loss of any rate at each step, how far two begin
apart, and where one leaves another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loraexp.results.regret.rows import Tried

EARLY = 0.2  # of the steps
WINDOW = 0.1  # of the points: the mean of so many is taken, for a single batch says little
LEAVES = 0.05  # above the common curve, as a share of its loss

Curve = NDArray[np.float64]


def curve_of(tried: Tried, rate: float, seed: int) -> tuple[list[int], Curve] | None:
    """Steps and losses of one run; None of one that diverged."""
    for row in tried.rows:
        if (row.rate, row.seed) == (rate, seed) and row.losses:
            return [*row.steps], np.array(row.losses, dtype=float)
    return None


def lowest(tried: Tried, rates: Sequence[float], seed: int) -> tuple[list[int], Curve] | None:
    """The pointwise minimum over rates of smoothed curves, as in Schulman et al. 2025, section
    "LoRA rank"."""
    found = [one for rate in rates if (one := curve_of(tried, rate, seed))]
    if not found:
        return None
    return found[0][0], np.min([smoothed(losses) for _, losses in found], axis=0)


def smoothed(losses: Curve) -> Curve:
    """The mean of each value and of those around it, fewer at the ends."""
    width = 2 * int(WINDOW * len(losses) / 2) + 1
    ones = np.ones(width)
    return np.convolve(losses, ones, "same") / np.convolve(np.ones_like(losses), ones, "same")


def early(losses: Curve) -> Curve:
    return losses[: max(2, round(EARLY * len(losses)))]


def apart(curve: Curve, common: Curve) -> float:
    """How far the early parts are apart, in nats: the mean of the absolute differences."""
    return float(np.abs(early(curve) - early(common)).mean())


def leaving(steps: Sequence[int], curve: Curve, common: Curve) -> int | None:
    """The first step from which on the curve stays above the common one; None if it never does."""
    above = curve > (1 + LEAVES) * common
    stays = np.logical_and.accumulate(above[::-1])[::-1]
    return steps[int(stays.argmax())] if stays.any() else None
