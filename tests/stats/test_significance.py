"""Intervals and tests: against closed formulas, and how often they claim what is not there."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from loraexp.stats.crossed import p_of_difference
from loraexp.stats.significance import Correct, holm, t_interval, wilson_interval


def test_interval_over_seeds_is_students_t() -> None:
    interval = t_interval([0.96, 0.97, 0.98, 0.95, 0.99])
    half = 2.776445 * math.sqrt(0.00025 / 5)  # t of 4 degrees of freedom, times s / sqrt(n)
    assert interval.mean == pytest.approx(0.97)
    assert (interval.low, interval.high) == pytest.approx((0.97 - half, 0.97 + half), abs=1e-8)


def test_one_seed_has_no_interval_and_equal_ones_a_point() -> None:
    assert t_interval([0.9]).low is None
    same = t_interval([0.9, 0.9, 0.9])
    assert (same.low, same.high) == (0.9, 0.9)


@given(st.integers(0, 300))
def test_interval_over_texts_is_wilsons(right: int) -> None:
    n, z = 300, 1.959964
    p = right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    interval = wilson_interval(p, n)
    assert (interval.low, interval.high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def correct(rows: list[str]) -> Correct:
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_one_seed_is_mcnemars_exact_test() -> None:
    one, other = correct(["1" * 90 + "1" * 8 + "0" * 2]), correct(["1" * 90 + "0" * 8 + "1" * 2])
    two_sided = 2 * sum(math.comb(10, k) for k in range(3)) / 2**10
    assert p_of_difference(one, other) == pytest.approx(two_sided)
    assert p_of_difference(one, one) == 1.0


def test_a_difference_must_stand_over_seeds_and_over_texts() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((5, 300)) < 0.9
    few_texts = base.copy()
    few_texts[:, :2] = True  # always two texts better: sure over seeds, not texts
    base[:, :2] = False
    assert p_of_difference(few_texts, base) > 0.05
    one_seed = base.copy()
    one_seed[0] = True  # one seed is far better: sure over texts, not over seeds
    assert p_of_difference(one_seed, base) > 0.05
    both = base | (rng.random((5, 300)) < 0.6)
    assert p_of_difference(both, base) < 0.01


def test_marks_of_other_seeds_or_texts_are_not_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        p_of_difference(correct(["11", "10"]), correct(["11"]))


def test_holm_multiplies_by_how_many_are_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_statsmodels_to_the_bit(values: list[float]) -> None:
    assert holm(values) == multipletests(values, method="holm")[1].tolist()


def test_interval_over_seeds_ends_at_0_and_1() -> None:
    assert t_interval([0.98, 1.0, 1.0]).high == 1.0
    assert t_interval([0.0, 0.0, 0.02]).low == 0.0


def test_more_texts_but_fewer_marks_are_evidence_for_neither() -> None:
    one, other = np.zeros((5, 60), bool), np.zeros((5, 60), bool)
    one[0, :40] = True  # better by one seed of five on 40 texts
    other[:, 40:] = True  # worse by all five on 20
    assert p_of_difference(one, other) == 1.0
