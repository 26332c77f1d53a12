"""Sweeps in which nothing differs: how often the table says of any row that it does."""

import gc
from typing import Any

import numpy as np
import pytest

from loraexp.records.record import Record
from loraexp.results.arms import Arm, Setting
from loraexp.results.paired import compare

N, SWEEPS, MOST = 300, 200, 10


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels calls it each time


def null_sweep(record: Record, rng: np.random.Generator, arms: int, seeds: int) -> list[Arm]:
    """Arms that label each text rightly with the same chance; texts differ in how hard they are."""
    hard, made = rng.beta(8, 1, N), []
    for number in range(arms):
        marks = {seed: rng.random(N) < hard for seed in range(seeds)}
        arm = Arm((number,), [Setting({}, [record])])
        # what Arm would read from a record for each seed, which takes most of the time
        vars(arm).update(correct=marks, accuracies={s: float(m.mean()) for s, m in marks.items()})
        made.append(arm)
    return made


def told(record: Record, arms: int, seeds: int, baseline: bool) -> int:
    """In how many sweeps any row is better or worse."""
    rng, found = np.random.default_rng([arms, seeds]), 0
    for _ in range(SWEEPS):
        made = null_sweep(record, rng, arms, seeds)
        found += any(one.significant for one in compare(made, made[0] if baseline else None) if one)
    return found


SOME: tuple[Any, ...] = ((5, 1, False), (5, 1, True), (13, 3, False), (5, 5, True))
ALL = [(a, s, b) for a in (2, 5, 13) for s in (1, 2, 3, 5) for b in (False, True)]


@pytest.mark.parametrize(("arms", "seeds", "baseline"), SOME)
def test_at_most_5_percent_name_any_row(
    make_record: Any, arms: int, seeds: int, baseline: bool
) -> None:
    assert told(make_record(), arms, seeds, baseline) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "seeds", "baseline"), [one for one in ALL if one not in SOME])
def test_at_most_5_percent_name_any_row_in_the_whole_grid(
    make_record: Any, arms: int, seeds: int, baseline: bool
) -> None:
    assert told(make_record(), arms, seeds, baseline) <= MOST


def test_one_seed_each_is_not_tested_against_the_best_of_them(make_record: Any) -> None:
    made = null_sweep(make_record(), np.random.default_rng(0), 5, 1)
    assert [one.untested for one in compare(made) if one] == ["one seed"] * 4
