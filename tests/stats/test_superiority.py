"""P(A > B), what tuning is worth, agreement: against counting, enumeration and simulation."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_marks import made_marks
from statsmodels.stats.inter_rater import fleiss_kappa

from loraexp.records.record import Record
from loraexp.results.beyond_p import agreement
from loraexp.stats.significance import Correct
from loraexp.stats.superiority import (
    Agreement,
    agreement_of,
    expected_best,
    expected_least,
    p_superior,
)


def marks(counts: list[int], n: int = 100) -> Correct:
    """Seeds that label so many of n texts rightly."""
    return np.array([np.arange(n) < count for count in counts])


def test_p_superior_counts_seeds_that_win_and_half_of_the_ties() -> None:
    found = p_superior(marks([95, 96, 97, 90]), marks([94, 96, 98, 80]))
    assert found.mean == (1 + 0.5 + 0 + 1) / 4
    turned = p_superior(marks([94, 96, 98, 80]), marks([95, 96, 97, 90]))
    assert turned.mean == 1 - found.mean


def test_one_seed_has_no_interval_and_the_same_twice_is_the_same() -> None:
    assert p_superior(marks([9]), marks([8])).low is None
    one, other = marks([95, 96, 97, 90]), marks([94, 96, 98, 80])
    assert p_superior(one, other) == p_superior(one, other)
    assert p_superior(one, other, seed=1).mean == p_superior(one, other).mean


def naive_ends(one: Correct, other: Correct, draws: int) -> np.ndarray:
    """The bootstrap as it is told: draw seeds, draw texts, count wins."""
    rng, means = np.random.default_rng(0), []
    seeds, texts = one.shape
    for _ in range(draws):
        rows, columns = rng.integers(seeds, size=seeds), rng.integers(texts, size=texts)
        found = one[np.ix_(rows, columns)].sum(1) - other[np.ix_(rows, columns)].sum(1).astype(int)
        means.append(((np.sign(found.astype(int)) + 1) / 2).mean())
    return np.quantile(means, [0.025, 0.975])


def test_interval_is_the_bootstraps_over_seeds_and_texts_where_that_is_wider() -> None:
    made = made_marks([0.0, -0.15], 30, 300, np.random.default_rng(1))
    one, other = (np.stack([*arm.values()]) for arm in made.values())
    found = p_superior(one, other)
    assert (found.low, found.high) == pytest.approx(naive_ends(one, other, 4_000), abs=0.02)
    seeds_alone = np.quantile(  # the negative control: texts are one more source of chance
        np.random.default_rng(0).binomial(30, found.mean, 4_000) / 30, [0.025, 0.975]
    )
    assert found.high is not None
    assert found.low is not None
    assert found.high - found.low > 1.2 * float(np.diff(seeds_alone)[0])


def test_five_wins_of_five_are_not_certain() -> None:
    found = p_superior(marks([95] * 5), marks([60] * 5))
    assert found.mean == found.high == 1.0
    assert found.low is not None
    assert found.low < 0.75


def covered(seeds: int, wilson: bool) -> float:
    """How often the interval holds the chance to win with other seeds and other texts."""
    rng, effect, hits, sweeps = np.random.default_rng(seeds), -0.2, 0, 150
    fresh = (made_marks([0.0, effect], 1, 300, rng) for _ in range(2_000))
    totals = [[arm[0].sum() for arm in one.values()] for one in fresh]
    true = float(np.mean([(np.sign(int(a) - int(b)) + 1) / 2 for a, b in totals]))
    for _ in range(sweeps):
        made = made_marks([0.0, effect], seeds, 300, rng)
        one, other = (np.stack([*arm.values()]) for arm in made.values())
        if wilson:
            found = p_superior(one, other)
            low, high = found.low or 0.0, found.high or 0.0
        else:
            picks = rng.integers(seeds, size=(500, seeds))
            wins = (np.sign(one.sum(1) - other.sum(1).astype(int)) + 1) / 2
            low, high = np.quantile(wins[picks].mean(1), [0.025, 0.975])
        hits += low <= true <= high
    return hits / sweeps


def test_interval_holds_the_true_chance_and_a_bootstrap_of_seeds_alone_does_not() -> None:
    assert covered(5, wilson=True) >= 0.92
    assert covered(5, wilson=False) < 0.92


@pytest.mark.parametrize("tried", [1, 2, 3, 4])
@pytest.mark.parametrize("scores", [[0.9, 0.95, 0.93], [0.9, 0.9, 0.95, 0.8], [0.7]])
def test_expected_best_is_the_mean_over_all_draws(scores: list[float], tried: int) -> None:
    every = [max(draw) for draw in itertools.product(scores, repeat=tried)]
    assert expected_best(scores, tried) == pytest.approx(np.mean(every))
    least = [min(draw) for draw in itertools.product(scores, repeat=tried)]
    assert expected_least(scores, tried) == pytest.approx(np.mean(least))


def test_expected_best_of_one_is_the_mean_and_of_many_the_best() -> None:
    assert expected_best([0.8, 0.9], 1) == pytest.approx(0.85)
    assert expected_best([0.8, 0.9], 60) == pytest.approx(0.9)


def test_agreement_is_the_mean_over_all_pairs_and_kappa_fleisss() -> None:
    labels = np.random.default_rng(0).integers(3, size=(50, 4))
    pairs = [np.mean(labels[:, a] == labels[:, b]) for a, b in itertools.combinations(range(4), 2)]
    found = agreement_of(labels)
    assert found.share == pytest.approx(np.mean(pairs))
    counts = np.stack([(labels == label).sum(1) for label in range(3)], axis=1)
    assert found.kappa == pytest.approx(fleiss_kappa(counts))
    assert found.kappa == pytest.approx(0.0, abs=0.1)  # by chance, though a third agree
    assert found.share == pytest.approx(1 / 3, abs=0.1)


def runs(make: Callable[..., Record], *labels: list[int], **changes: object) -> list[Record]:
    true = [0] * len(labels[0])
    return [
        make({"seed": seed}, predictions={"test": {"true": true, "predicted": one}}, **changes)
        for seed, one in enumerate(labels)
    ]


def test_agreement_of_records_is_of_all_their_test_texts(
    make_record: Callable[..., Record],
) -> None:
    found = agreement(runs(make_record, [0, 0, 1, 1], [0, 0, 1, 0], mistakes=[]))
    assert found.share == 3 / 4
    same = agreement(runs(make_record, [1, 1, 1], [1, 1, 1]))
    assert (same.share, same.kappa) == (1.0, None)


def test_agreement_that_is_not_defined_says_why(make_record: Callable[..., Record]) -> None:
    one, other = runs(make_record, [0, 1], [0, 1])
    assert agreement([one]) == agreement([one, one]) == Agreement(None, None, "one seed")
    foreign = replace(other, hashes={**other.hashes, "split": "another"})
    why = "not tested on the same texts"
    assert agreement([one, foreign]) == Agreement(None, None, why)
    _, short = runs(make_record, [0], [0])
    assert agreement([one, short]) == Agreement(None, None, why)
