"""All pairs of arms tested at once: which p values are small enough."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np


def shaffer(values: Sequence[float], arms: int) -> list[float]:
    """p values of all pairs of arms, corrected: as Holm's, but times the number of pairs that can
    still be without a difference (Shaffer 1986, "Modified sequentially rejective multiple test
    procedures", sec. 2): if A differs from B, then C from one of the two.

    Args:
        values: arms x (arms - 1) / 2 of them.
    """
    order, corrected, highest = np.argsort(values, kind="stable"), [1.0] * len(values), 0.0
    for rejected, at in enumerate(order):
        left = max(count for count in equal_pairs(arms) if count <= len(values) - rejected)
        highest = max(highest, min(1.0, left * values[at]))
        corrected[at] = highest
    return corrected


@cache
def equal_pairs(arms: int) -> frozenset[int]:
    """How many of all pairs can be without a difference, whichever arms are alike."""
    if arms < 2:
        return frozenset({0})
    return frozenset(
        math.comb(alike, 2) + more
        for alike in range(1, arms + 1)
        for more in equal_pairs(arms - alike)
    )
