"""Shaffer's correction: against the closure principle by brute force, and Holm's."""

import gc
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from loraexp.stats.all_pairs import equal_pairs, shaffer
from loraexp.stats.significance import holm


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels calls it each time


def partitions(arms: list[int]) -> Iterator[list[list[int]]]:
    """All ways in which arms may be alike in groups."""
    if not arms:
        yield []
        return
    first, *others = arms
    for rest in partitions(others):
        yield [[first], *rest]
        for at, group in enumerate(rest):
            yield [*rest[:at], [first, *group], *rest[at + 1 :]]


def closed(values: dict[tuple[int, int], float], arms: int) -> dict[tuple[int, int], float]:
    """By brute force: p of a pair is the largest Bonferroni p of any way to be alike that holds it
    (the closure principle of Marcus, Peritz and Gabriel 1976, with logical constraints)."""
    found = dict.fromkeys(values, 0.0)
    for groups in partitions([*range(arms)]):
        inside = [p for group in groups for p in itertools.combinations(sorted(group), 2)]
        if inside:
            p = min(1.0, len(inside) * min(values[pair] for pair in inside))
            found |= {pair: max(found[pair], p) for pair in inside}
    return found


@pytest.mark.parametrize("arms", [2, 3, 4, 5])
def test_shaffer_lies_between_all_logical_constraints_and_none(arms: int) -> None:
    rng = np.random.default_rng(arms)
    pairs = [*itertools.combinations(range(arms), 2)]
    better = 0
    for _ in range(100):
        values = rng.beta(0.3, 3, len(pairs))
        found = shaffer(values.tolist(), arms)
        least = closed(dict(zip(pairs, values, strict=True)), arms)
        most = holm(values.tolist())
        assert all(a >= least[pair] - 1e-12 for a, pair in zip(found, pairs, strict=True))
        assert all(a <= b + 1e-12 for a, b in zip(found, most, strict=True))
        better += found != pytest.approx(most)
    assert (better > 0) == (arms > 2)


def test_numbers_of_pairs_that_can_be_alike_are_those_of_all_partitions() -> None:
    for arms in range(1, 7):
        every = {
            sum(len(g) * (len(g) - 1) // 2 for g in groups) for groups in partitions([*range(arms)])
        }
        assert equal_pairs(arms) == every
