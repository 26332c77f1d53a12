"""More than tied or not: how often one arm beats another, what tuning had to be worth, and whether
runs of one arm agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loraexp.stats.crossed import differences
from loraexp.stats.significance import LEVEL, Correct, Interval

MEANINGFUL = 0.75  # Bouthillier et al. 2021, sec. 4
DRAWS = 4_000  # of the bootstrap


def p_superior(one: Correct, other: Correct, seed: int = 0) -> Interval:
    """P(A > B): how often the one arm has the higher accuracy with the same seed; ties count half
    (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks", sec. 4).

    The interval is their percentile bootstrap, in which seeds and texts are both drawn anew (Owen
    2007, "The pigeonhole bootstrap"), or Wilson's over the seeds where that is wider: a bootstrap
    of five wins of five has no width.

    Args:
        one, other: (seeds, texts), the same texts in the same order; the same seeds.
        seed: of the bootstrap.
    """
    from statsmodels.stats.proportion import proportion_confint

    found = differences(one, other)
    seeds, texts = found.shape
    mean = float(wins(found.sum(1)).mean())
    if seeds == 1:
        return Interval(mean, None, None)
    rng = np.random.default_rng(seed)
    # Texts with the same differences are drawn together: as many numbers as kinds, not as texts.
    kinds, counts = np.unique(found, axis=1, return_counts=True)  # (seeds, kinds), (kinds,)
    drawn = rng.multinomial(texts, counts / texts, size=DRAWS) @ kinds.T  # (draws, seeds)
    picked = rng.integers(seeds, size=(DRAWS, seeds))
    means = wins(np.take_along_axis(drawn, picked, axis=1)).mean(1)  # (draws,)
    ends = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    low, high = proportion_confint(mean * seeds, seeds, alpha=LEVEL, method="wilson")
    return Interval(mean, min(float(ends[0]), float(low)), max(float(ends[1]), float(high)))


def wins(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where above zero, a half at zero: sums of whole numbers, so zero is exact."""
    return (np.sign(found) + 1) / 2


def expected_best(scores: Sequence[float], tried: int) -> float:
    """The best validation score to expect of `tried` settings, drawn from these with replacement
    (Dodge et al. 2019, "Show Your Work", sec. 3.1): the sum of v (P(V <= v)^n - P(V < v)^n).

    Args:
        scores: of each setting that was tried; more is better.
        tried: one or more.
    """
    values, counts = np.unique(scores, return_counts=True)
    upto = np.cumsum(counts) / len(scores)
    return float(values @ np.diff(upto**tried, prepend=0.0))


def expected_least(losses: Sequence[float], tried: int) -> float:
    """As expected_best, of losses: less is better."""
    return -expected_best([-loss for loss in losses], tried)


@dataclass(frozen=True)
class Agreement:
    """Of the runs of one arm on the same test texts.

    Args:
        share: of the texts that two of the runs label alike, on average over all pairs.
        kappa: Fleiss's, the same beyond chance (1971); None if all labels are one.
        why: there are none, if so.
    """

    share: float | None
    kappa: float | None
    why: str | None = None


def agreement_of(labels: NDArray[np.int64]) -> Agreement:
    """
    Args:
        labels: (texts, runs) classes, by number.
    """
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    counts, _ = aggregate_raters(labels)  # (texts, classes) runs that say so
    runs = labels.shape[1]
    share = float((counts * (counts - 1)).sum(1).mean() / (runs * (runs - 1)))
    return Agreement(share, None if counts.shape[1] == 1 else float(fleiss_kappa(counts)))
