"""The smallest difference that would have shown: against scipy, exact sums and simulated sweeps."""

import math

import numpy as np
import pytest
from made_marks import effect_of, made_marks
from scipy import stats

from loraexp.stats.crossed import differences, p_of_difference, spread_of
from loraexp.stats.power import (
    Detectable,
    detectable,
    noncentral,
    power_of_mcnemar,
    power_of_t,
    powers,
)
from loraexp.stats.significance import LEVEL, Correct, mcnemar


@pytest.mark.parametrize("df", [1, 2, 4, 11, 30.5])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_power_of_t_is_the_noncentral_ts(df: float, level: float) -> None:
    bound = stats.t.isf(level / 2, df)
    for shift in (0.5, 2.0, 4.0):
        exact = stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift)
        assert noncentral(shift, bound, df) == pytest.approx(exact, abs=1e-6)
    assert noncentral(0.0, bound, df) == pytest.approx(level, abs=1e-6)


def test_power_of_t_is_that_of_statsmodels() -> None:
    """But for the spread: the one that is as often above as below the estimate."""
    from statsmodels.stats.power import TTestPower

    seeds, sd = 5, 0.01
    median = sd**2 * 4 / stats.chi2.median(4)
    found = power_of_t(0.02, sd**2 / seeds, seeds - 1, LEVEL)
    assert found == pytest.approx(TTestPower().power(0.02 / median**0.5, seeds, LEVEL), abs=1e-6)
    assert found < TTestPower().power(0.02 / sd, seeds, LEVEL)


def test_power_of_mcnemar_is_the_sum_over_all_outcomes() -> None:
    n, better, worse, level = 25, 0.3, 0.06, 0.05
    rest = 1 - better - worse
    exact = sum(
        math.comb(n, i) * math.comb(n - i, j) * better**i * worse**j * rest ** (n - i - j)
        for i in range(n + 1)
        for j in range(n + 1 - i)
        if i + j and stats.binomtest(i, i + j).pvalue < level
    )
    found = power_of_mcnemar(n, better + worse, better - worse, level)
    assert found == pytest.approx(exact, abs=1e-7)
    assert power_of_mcnemar(n, better + worse, 0.0, level) < level  # the negative control
    assert power_of_mcnemar(n, 0.0, 0.0, level) == 0.0


def pair(effect: float, seeds: int, texts: int, rng: np.random.Generator) -> list[Correct]:
    """Of two arms, the second of which is worse; alike if effect is 0."""
    made = made_marks([0.0, effect], seeds, texts, rng)
    return [np.stack([*arm.values()]) for arm in made.values()]


def test_at_the_difference_all_tests_have_80_percent_and_the_weakest_is_named() -> None:
    rng, limits = np.random.default_rng(0), set()
    for seeds, texts in ((3, 300), (12, 300), (12, 60)):
        marks = pair(0.0, seeds, texts, rng)
        found = detectable(*marks, tests=4)
        assert found.difference is not None
        at_size = powers(differences(*marks), LEVEL / 4, found.difference)
        students = min(at_size["seeds"], at_size["seeds and texts"])
        assert students * at_size["texts"] == pytest.approx(0.8, abs=1e-3)
        assert at_size[found.limit] == min(at_size.values())
        limits.add(found.limit)
    assert len(limits) > 1


@pytest.mark.parametrize(("seeds", "texts", "tests"), [(5, 300, 1), (12, 300, 4)])
def test_the_difference_shows_about_as_often_as_it_says(seeds: int, texts: int, tests: int) -> None:
    """The negative control: half of it hardly shows."""
    rng = np.random.default_rng(seeds)
    sizes = [detectable(*pair(0.0, seeds, texts, rng), tests).difference for _ in range(15)]
    size = float(np.mean([one for one in sizes if one is not None]))

    def shown(wanted: float) -> float:
        marks = (pair(effect_of(wanted), seeds, texts, rng) for _ in range(200))
        return float(np.mean([p_of_difference(*one) < LEVEL / tests for one in marks]))

    assert 0.65 < shown(size) < 0.92
    assert shown(size / 2) < 0.4


def test_more_seeds_more_texts_and_fewer_comparisons_show_smaller_differences() -> None:
    one, other = pair(0.0, 6, 300, np.random.default_rng(0))
    size = detectable(one, other).difference
    assert size is not None
    fewer = detectable(one[:3], other[:3]).difference
    assert fewer is not None
    assert fewer > size
    five = detectable(one, other, tests=5).difference
    assert five is not None
    assert five > size
    twice = detectable(np.tile(one, (1, 4)), np.tile(other, (1, 4)))
    assert twice.difference is not None
    assert twice.difference <= size


def test_what_is_not_defined_is_none_and_says_of_what_there_are_too_few() -> None:
    one, other = pair(0.0, 5, 300, np.random.default_rng(0))
    assert detectable(one[:1], other[:1]) == Detectable(None, "seeds")
    assert detectable(one[:, :1], other[:, :1]) == Detectable(None, "texts")
    assert detectable(one[:, :5], other[:, :5]) == Detectable(None, "texts")
    few = pair(0.0, 2, 300, np.random.default_rng(0))
    assert detectable(*few, tests=20) == Detectable(None, "seeds")


def test_arms_that_never_differ_are_limited_by_texts() -> None:
    same = np.ones((3, 300), bool)
    found = detectable(same, same)
    assert found.limit == "texts"
    assert found.difference is not None
    # 6 texts are the least that McNemar's test can tell: 2 / 2^6 < 0.05 < 2 / 2^5
    assert mcnemar(np.array([1] * 6)) < LEVEL < mcnemar(np.array([1] * 5))
    assert 6 / 300 < found.difference < 10 / 300


def test_spread_that_grows_with_the_difference_is_counted() -> None:
    marks = pair(0.0, 12, 300, np.random.default_rng(1))
    found = differences(*marks)
    spread = spread_of(found)
    as_observed = power_of_t(0.03, spread.variance, spread.df, LEVEL)
    assert powers(found, LEVEL, 0.03)["seeds and texts"] < as_observed
