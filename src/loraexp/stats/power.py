"""The smallest difference that a comparison would have shown: what "tied" leaves open."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loraexp.stats.crossed import differences, spread_of
from loraexp.stats.quadrature import legendre
from loraexp.stats.significance import LEVEL, Correct

CHANCE = 0.8  # of showing it (Cohen 1988, "Statistical Power Analysis", sec. 2.4)
RARE = 1e-9  # numbers of differing texts that are rarer than this are left out
NODES = 512  # of the quadrature: a few degrees of freedom make steep integrands

Limit = Literal["seeds", "texts", "seeds and texts"]


@dataclass(frozen=True)
class Detectable:
    """The smallest difference in accuracy that would have been shown with a chance of 80 %.

    Args:
        difference: a share, above zero; None where no difference would be, with one seed or with
            too few of what limits it.
        limit: what keeps it from being smaller: more of these would help.
    """

    difference: float | None
    limit: Limit


def detectable(one: Correct, other: Correct, tests: int = 1, chance: float = CHANCE) -> Detectable:
    """Of a comparison by `p_of_difference`, whose three tests must all see it: that over texts and
    the weaker of the other two, which go together, as if independently.

    Differences over seeds are taken for normal, with the spread that was observed: corrected, for
    that of few seeds is more often too small than too large. Of texts that differ, as many as
    observed are expected if there is no difference, and as strong ones; d more wins by texts make
    sqrt(s^2 + d^2) of a share of s, as equal odds for each of them do, and as much more variance.
    In simulated sweeps of 3 to 20 seeds such differences showed in 64 to 88 % of the cases.

    Args:
        one, other: (seeds, texts), the same texts in the same order; the same seeds.
        tests: Holm's factor: how many comparisons the smallest p is multiplied by.
        chance: of showing it, below 1.
    """
    from scipy.optimize import brentq

    found = differences(one, other)
    if len(found) == 1:
        return Detectable(None, "seeds")
    if found.shape[1] == 1:
        return Detectable(None, "texts")
    power = partial(powers, found, LEVEL / tests)
    if joint(power(1.0)) < chance:
        return Detectable(None, weakest(power(1.0)))
    size = float(brentq(lambda d: joint(power(d)) - chance, 0.0, 1.0, xtol=1e-6))
    return Detectable(size, weakest(power(size)))


def joint(power: Mapping[Limit, float]) -> float:
    return power["texts"] * min(power["seeds"], power["seeds and texts"])


def weakest(power: Mapping[Limit, float]) -> Limit:
    return min(power, key=lambda limit: power[limit])


def powers(found: NDArray[np.float64], level: float, size: float) -> dict[Limit, float]:
    """Of each test, to show a true difference of `size`.

    Args:
        found: (seeds, texts) observed differences.
    """
    seeds, texts = found.shape
    spread, by_text = spread_of(found), found.mean(0)
    differing = by_text[by_text != 0.0]
    worth = float(np.abs(differing).mean()) if differing.size else 1.0  # of one such text
    observed = differing.size / texts
    net = min(size / worth, 1.0)
    share = min(math.sqrt(max(observed**2 - (spread.mean / worth) ** 2, 0.0) + net**2), 1.0)
    more = share / observed if observed else 1.0
    return {
        "seeds": power_of_t(size, more * spread.over_seeds, seeds - 1, level),
        "texts": power_of_mcnemar(texts, share, net, level),
        "seeds and texts": power_of_t(size, more * spread.variance, spread.df, level),
    }


def power_of_t(size: float, variance: float, df: float, level: float) -> float:
    """Of a two-sided t test, whose statistic is a noncentral t.

    Args:
        size: the true difference.
        variance: of the mean difference, estimated; what it is as often above as below counts.
    """
    from scipy import stats

    if variance == 0.0:
        return float(size > 0.0)
    shift = size / math.sqrt(variance * df / stats.chi2.median(df))
    return noncentral(shift, float(stats.t.isf(level / 2, df)), df)


@lru_cache(maxsize=256)
def errors(df: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimated standard errors over the true one, (nodes,) quantiles, and their weights."""
    from scipy import special

    nodes, weights = legendre(NODES)
    return np.sqrt(special.chdtri(df, (nodes + 1) / 2) / df), weights


def noncentral(shift: float, bound: float, df: float) -> float:
    """Chance that |t| is above its bound, with a difference of `shift` standard errors.

    Over the quantiles of the estimated standard error, given which t is normal: scipy's noncentral
    t is not a number for large shifts with few degrees of freedom.
    """
    from scipy import special

    error, weights = errors(df)
    above = special.ndtr(shift - bound * error) + special.ndtr(-shift - bound * error)
    return float(weights @ above) / 2


def power_of_mcnemar(n: int, differing: float, net: float, level: float) -> float:
    """Of McNemar's exact test, two-sided.

    Args:
        n: texts.
        differing: chance of a text to be labelled rightly by one arm more often.
        net: chance that this is the one arm less that it is the other; at most `differing`.
    """
    from scipy.stats import binom

    if differing == 0.0:
        return 0.0
    low, high = binom.ppf([RARE, 1 - RARE], n, differing)
    k = np.arange(max(low, 1), high + 1)  # texts that differ
    most = binom.isf(level / 2, k, 0.5)  # wins that are not enough yet
    winning = min((1 + net / differing) / 2, 1.0)
    shown = binom.sf(most, k, winning) + binom.cdf(k - most - 1, k, winning)
    return float(np.sum(binom.pmf(k, n, differing) * shown))
