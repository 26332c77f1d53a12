"""A difference must stand against seeds and texts, each alone and both at once."""

import numpy as np
import pytest
from scipy import stats

from loraexp.stats.crossed import differences, p_of_difference, p_of_t, spread_of
from loraexp.stats.significance import mcnemar, paired_t


def anova(found: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of a two-way layout without replication: of seeds, of texts, of the rest."""
    seeds, texts = found.shape
    mean = found.mean()
    rows = texts * sum((row.mean() - mean) ** 2 for row in found) / (seeds - 1)
    columns = seeds * sum((column.mean() - mean) ** 2 for column in found.T) / (texts - 1)
    total = ((found - mean) ** 2).sum()
    rest = (total - rows * (seeds - 1) - columns * (texts - 1)) / ((seeds - 1) * (texts - 1))
    return rows, columns, rest


def test_variance_of_the_mean_is_that_of_the_anova() -> None:
    rng = np.random.default_rng(0)
    found = rng.normal(size=(4, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(4, 30))
    rows, columns, rest = anova(found)
    spread = spread_of(found)
    assert spread.variance == pytest.approx((rows + columns - rest) / found.size)
    assert spread.over_seeds == pytest.approx(rows / found.size)
    assert spread.over_texts == pytest.approx(columns / found.size)


def test_variance_is_that_of_means_over_other_seeds_and_texts() -> None:
    """And that of seeds alone, or of texts alone, is too small: the negative control."""
    rng, means, spreads = np.random.default_rng(1), [], []
    for _ in range(400):
        found = rng.normal(size=(8, 1)) + 2 * rng.normal(size=(1, 40)) + rng.normal(size=(8, 40))
        means.append(found.mean())
        spreads.append(spread_of(found))
    true = np.var(means)
    assert np.mean([spread.variance for spread in spreads]) == pytest.approx(true, rel=0.15)
    assert np.mean([spread.over_seeds for spread in spreads]) < 0.8 * true
    assert np.mean([spread.over_texts for spread in spreads]) < 0.8 * true


def quasi_f(found: np.ndarray) -> float:
    spread = spread_of(found)
    return p_of_t(spread.mean, spread.variance, spread.df)


def test_one_source_alone_is_its_own_t_test() -> None:
    rng = np.random.default_rng(2)
    by_seed = np.repeat(rng.normal(0.5, 1, size=(6, 1)), 50, axis=1)
    assert quasi_f(by_seed) == pytest.approx(stats.ttest_1samp(by_seed[:, 0], 0).pvalue)
    by_text = np.repeat(rng.normal(0.1, 1, size=(1, 50)), 6, axis=0)
    assert quasi_f(by_text) == pytest.approx(stats.ttest_1samp(by_text[0], 0).pvalue)


def test_no_variance_is_evidence_only_of_a_difference() -> None:
    assert quasi_f(np.zeros((3, 5))) == 1.0
    assert quasi_f(np.ones((3, 5))) == 0.0


def balanced(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Marks of two arms that are alike; seeds and texts vary a difference as much, 12 seeds."""
    ease = rng.normal(3.5, 1.8, size=300)
    return tuple(  # type: ignore[return-value]
        ease
        + 0.4 * rng.normal(size=(12, 1))
        + rng.normal(size=300)
        + 0.8 * rng.normal(size=(12, 300))
        > 0
        for _ in range(2)
    )


def test_two_tests_of_one_source_each_err_too_often_and_all_three_do_not() -> None:
    """Raaijmakers et al. 1999, "How to deal with the language-as-fixed-effect fallacy"."""
    rng, cases, level = np.random.default_rng(0), 1_200, 0.05
    of_two = of_three = 0
    for _ in range(cases):
        one, other = balanced(rng)
        found = differences(one, other)
        if (
            paired_t(found.mean(1)) < level and mcnemar(found.sum(0).astype(np.int64)) < level
        ):  # in this order: most cases need no more
            of_two += 1
            of_three += quasi_f(found) < level
    assert stats.binomtest(of_two, cases, level, alternative="greater").pvalue < 0.01
    assert of_three <= level * cases


def test_the_largest_of_three_counts_and_one_seed_or_text_leaves_texts_alone() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.random((5, 300)) < 0.95, rng.random((5, 300)) < 0.88
    found = differences(one, other)
    each = [mcnemar(found.sum(0).astype(np.int64)), paired_t(found.mean(1)), quasi_f(found)]
    assert p_of_difference(one, other) == max(each)
    assert p_of_difference(one[:1], other[:1]) == mcnemar(found[0].astype(np.int64))
    assert p_of_difference(one[:, :1], other[:, :1]) == 1.0
    with pytest.raises(ValueError, match="cannot be paired"):
        p_of_difference(one, other[:2])
