"""The best rate between those that were tried is that of the curve they were taken from."""

import math

import pytest

from loraexp.stats.optimum import optimum

RATES = [1e-4, 2e-4, 4e-4, 8e-4, 3e-3]  # not all equally far apart


@pytest.mark.parametrize("best", [1.8e-4, 3e-4, 5e-4])
def test_the_vertex_of_a_parabola_is_found(best: float) -> None:
    losses = [2 + 0.3 * math.log(rate / best) ** 2 for rate in RATES]
    found = optimum(RATES, losses)
    assert found is not None
    assert (found.rate, found.loss) == (pytest.approx(best), min(losses))


def test_beside_a_loss_that_is_far_up_nothing_is_promised_that_was_not_measured() -> None:
    found = optimum([1, 2, 4], [1.9, 1.7, 4.1])
    assert found is not None
    assert found.loss == 1.7
    assert 2**0.5 < found.rate < 2


def test_a_minimum_at_an_end_is_none() -> None:
    assert optimum(RATES, [1, 2, 3, 4, 5]) is None
    assert optimum(RATES, [5, 4, 3, 2, 1]) is None
    assert optimum(RATES[:2], [1, 2]) is None


def test_beside_a_run_that_diverged_the_lowest_is_taken_as_it_is() -> None:
    found = optimum(RATES, [3, 2, 1, math.inf, math.inf])
    assert found is not None
    assert (found.rate, found.loss) == (4e-4, 1)


def test_of_equal_losses_one_is_taken() -> None:
    assert optimum(RATES[:4], [2, 1, 1, 2]) is not None
