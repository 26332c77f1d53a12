"""A verdict follows from intervals and regions alone, and errs as seldom as it says."""

import math

import numpy as np

from loraexp.stats.verdicts import Quantity, deciding, verdict


def test_inside_outside_and_across() -> None:
    inside, outside = Quantity("", [0.0, 0.1, -0.1], -1, 1), Quantity("", [5.0, 5.1, 4.9], -1, 1)
    across = Quantity("", [0.0, 3.0, -3.0], -1, 1)
    assert verdict([inside]) == "holds"
    assert verdict([inside, across]) == "cannot be told"
    assert verdict([inside, across, outside]) == "does not hold"
    assert deciding([inside, across, outside]) is outside
    assert deciding([inside, across]) is across


def test_fewer_than_three_seeds_tell_nothing() -> None:
    assert verdict([Quantity("", [0.0, 0.0], -1, 1)]) == "cannot be told"
    assert verdict([]) == "cannot be told"


def test_of_a_quantity_on_the_edge_false_verdicts_are_rare() -> None:
    """At its edge neither answer is right; each is given in at most 2.5 % of the cases."""
    random = np.random.default_rng(0)
    given = [
        verdict([Quantity("", (1 + random.standard_normal(4)).tolist(), 1, math.inf)])
        for _ in range(600)
    ]
    assert max(given.count("holds"), given.count("does not hold")) < 0.045 * len(given)
    far = [
        verdict([Quantity("", (9 + random.standard_normal(4)).tolist(), 1, math.inf)])
        for _ in range(100)
    ]
    assert far.count("holds") > 90
