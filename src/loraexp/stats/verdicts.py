"""Does a claim hold? Its quantities lie in declared regions, or outside, or nobody can tell yet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loraexp.stats.significance import LEVEL, Interval

Verdict = Literal["holds", "does not hold", "cannot be told"]
FEWEST = 3  # seeds


@dataclass(frozen=True)
class Quantity:
    """
    Args:
        name: what it is, in words.
        values: of it, one a seed.
        low, high: where it lies if the claim holds; an end may be infinite.
    """

    name: str
    values: Sequence[float]
    low: float
    high: float

    def interval(self, level: float = LEVEL) -> Interval:
        """Student's, over the seeds."""
        from scipy import stats

        mean, n = float(np.mean(self.values)), len(self.values)
        if n < FEWEST:
            return Interval(mean, None, None)
        half = float(stats.t.ppf(1 - level / 2, n - 1) * np.std(self.values, ddof=1) / n**0.5)
        return Interval(mean, mean - half, mean + half)

    def holds(self) -> bool:
        """The interval of 95 % lies inside. To test equivalence by inclusion, that of 90 % would do
        (Schuirmann 1987)."""
        ends = self.interval().ends
        return ends is not None and self.low <= ends[0] and ends[1] <= self.high

    def fails(self, level: float) -> bool:
        """The interval lies outside."""
        ends = self.interval(level).ends
        return ends is not None and (ends[1] < self.low or self.high < ends[0])

    @property
    def excess(self) -> float:
        """By how much the interval reaches out of the region; negative inside."""
        low, high = self.interval().ends or (-math.inf, math.inf)
        return max(self.low - low, high - self.high)


def verdict(quantities: Sequence[Quantity]) -> Verdict:
    """Of a claim that all of them lie in their regions.

    It holds if each one does: to ask that of all at once needs no correction (Berger 1982). It does
    not hold if any one is outside: one of many is so by chance, hence Bonferroni's level.
    """
    if not quantities:
        return "cannot be told"
    if all(one.holds() for one in quantities):
        return "holds"
    if any(one.fails(LEVEL / len(quantities)) for one in quantities):
        return "does not hold"
    return "cannot be told"


def deciding(quantities: Sequence[Quantity]) -> Quantity:
    """The one that decides: outside if any is, else the one that reaches out most."""
    outside = [one for one in quantities if one.fails(LEVEL / len(quantities))]
    return max(outside or quantities, key=lambda one: one.excess)
