"""What may be said of a difference: intervals and tests, nearly all from scipy and statsmodels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05  # of every test; intervals are of 95 %

Correct = NDArray[np.bool_]  # (seeds, texts): was this text labelled rightly under this seed?


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval; the ends are None where nothing can be said."""

    mean: float
    low: float | None
    high: float | None

    @property
    def ends(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean share over seeds, cut at 0 and 1; one seed has none."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, None, None)
    error = float(stats.sem(values))
    if error == 0.0:
        return Interval(mean, mean, mean)
    low, high = stats.t.interval(1 - LEVEL, len(values) - 1, loc=mean, scale=error)
    return Interval(mean, max(0.0, float(low)), min(1.0, float(high)))


def next_run(values: Sequence[float]) -> Interval:
    """Where one more run would fall, 95 % of the time: Student's prediction interval."""
    from scipy import stats

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, None, None)
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1) * np.std(values, ddof=1) * (1 + 1 / n) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def wilson_interval(share: float, n: int) -> Interval:
    """Wilson's interval of a share of n test texts (Wilson 1927): how well another sample of texts
    of this size would do, training left as it is."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(share * n, n, alpha=LEVEL, method="wilson")
    return Interval(share, float(low), float(high))


def p_of_two_shares(one: tuple[float, int], other: tuple[float, int]) -> float:
    """Chance that two shares of different texts differ as much if both texts were of one kind:
    Fisher's exact test (1935), two-sided.

    Args:
        one, other: a share, and of how many texts.
    """
    (of_one, n), (of_other, m) = ((min(max(round(s * n), 0), n), n) for s, n in (one, other))
    return fisher(of_one, n, of_other, m)


@lru_cache(maxsize=2**16)  # of thousands of runs on the same texts most have the same counts
def fisher(right: int, n: int, also: int, m: int) -> float:
    """p of `right` of n texts and `also` of m others."""
    from scipy import stats

    return float(stats.fisher_exact([[right, also], [n - right, m - also]]).pvalue)


def mcnemar(differences: NDArray[np.int64]) -> float:
    """p that a text is as often the one arm's as the other's, where these differ (McNemar 1947).

    Args:
        differences: (texts,) under how many seeds more the one labels it rightly. With several
            seeds an arm may win more texts and yet fewer marks: that is evidence for neither.
    """
    from scipy import stats

    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    if (better - worse) * int(differences.sum()) <= 0:
        return 1.0
    return float(stats.binomtest(better, better + worse).pvalue)


def paired_t(differences: NDArray[np.float64]) -> float:
    """p that their mean is zero; differences that are all alike are no evidence unless not zero."""
    from scipy import stats

    if np.ptp(differences) == 0.0:
        return 1.0 if differences[0] == 0.0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for how many there are (Holm 1979). Not by statsmodels, which looks for
    garbage among all that there is: among 10,000 records for half a second."""
    order = np.argsort(values)
    raised = np.asarray(values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [*map(float, corrected)]
