"""Looks declared beforehand: bounds against published ones, and how often nothing is called a
winner."""

import gc

import numpy as np
import pytest
from made_marks import made_marks, sweep
from scipy import stats

from loraexp.errors import UserError
from loraexp.stats.looks import SHAPES, Looks, crossing, decide, racing
from loraexp.stats.significance import LEVEL


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels calls it each time


# Jennison and Turnbull 2000, "Group Sequential Methods", tables 2.1 (Pocock) and 2.3 (O'Brien and
# Fleming): by level, of 1, 2, ... looks after equally many.
PUBLISHED = {
    ("pocock", 0.05): {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555},
    ("pocock", 0.01): {1: 2.576, 2: 2.772, 3: 2.873, 4: 2.939, 5: 2.986, 10: 3.117},
    ("obrien_fleming", 0.05): {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087},
    ("obrien_fleming", 0.01): {1: 2.576, 2: 2.580, 3: 2.595, 4: 2.609, 5: 2.621, 10: 2.660},
}


def equal_steps(looks: int, bound: str) -> Looks:
    return Looks(tuple(2 * (k + 1) for k in range(looks)), bound)


@pytest.mark.parametrize(("bound", "level"), PUBLISHED)
def test_constants_are_the_published_ones(bound: str, level: float) -> None:
    for looks, constant in PUBLISHED[bound, level].items():
        found = equal_steps(looks, bound).constant(level)
        assert found == pytest.approx(constant, abs=0.001)


@pytest.mark.parametrize("bound", SHAPES)
def test_unequal_looks_are_the_multivariate_normals(bound: str) -> None:
    looks = Looks((3, 5, 8, 12), bound)
    t = looks.times
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    bounds = 2.2 * looks.factors
    inside = stats.multivariate_normal(cov=correlation, seed=0, abseps=1e-6, maxpts=200_000).cdf(
        bounds, lower_limit=-bounds
    )
    assert crossing(t, bounds) == pytest.approx(1 - inside, abs=1e-5)
    one_look_alone = 2 * stats.norm.sf(bounds.min())  # the negative control: looks are not free
    assert crossing(t, bounds) > 1.001 * one_look_alone


def test_one_look_leaves_p_as_it_is() -> None:
    for p in (0.9, 0.05, 1e-6):
        assert Looks((5,)).corrected(1, p) == pytest.approx(p, rel=1e-6)
    assert Looks((5,)).corrected(1, 0.0) == 0.0
    assert Looks((5,)).corrected(1, 1.0) == 1.0


@pytest.mark.parametrize("bound", SHAPES)
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_corrected_p_is_below_a_level_exactly_beyond_its_bound(bound: str, level: float) -> None:
    looks = Looks((3, 5, 8, 12), bound)
    for look, nominal in enumerate(looks.nominal(level), 1):
        if nominal > 1e-12:
            assert looks.corrected(look, nominal) == pytest.approx(level, rel=1e-6)
            assert (
                looks.corrected(look, nominal * 1.01)
                > level
                > looks.corrected(look, nominal * 0.99)
            )


def test_obrien_flemings_first_look_is_the_hardest_and_pococks_are_alike() -> None:
    early, *_, late = Looks((3, 5, 8, 12), "obrien_fleming").nominal()
    assert early < 0.001 < 0.04 < late < 0.05
    assert len({round(p, 9) for p in Looks((3, 5, 8, 12), "pocock").nominal()}) == 1


@pytest.mark.parametrize("seeds", [(), (1, 3), (3, 3), (5, 3)])
def test_looks_must_rise_from_two_seeds(seeds: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"seeds\.looks must rise from 2 or more, got"):
        Looks(seeds)


def test_a_bound_or_a_look_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown seeds\.bound 'pocok'; did you mean 'pocock'"):
        Looks((3, 5), "pocok")
    with pytest.raises(UserError, match="look must be of 1 to 2, got 3"):
        decide(Looks((3, 5)), 3, {})


@pytest.mark.parametrize("bound", SHAPES)
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_paired_t_tests_of_few_seeds_keep_the_level(bound: str, level: float) -> None:
    """As nearly as Looks.corrected says; the negative control is each look at the full level."""
    looks, sweeps = Looks((3, 5, 8, 12), bound), 60_000
    most = 1.1 if bound == "obrien_fleming" else 1.2
    scores = np.random.default_rng(0).standard_normal((sweeps, 12))
    ps = np.stack([stats.ttest_1samp(scores[:, :n], 0.0, axis=1).pvalue for n in looks.seeds])
    errors = (ps < np.array(looks.nominal(level))[:, None]).any(0)
    assert errors.mean() < most * level
    assert (ps < level).any(0).mean() > 1.5 * level


def test_a_worse_arm_leaves_the_race_and_the_others_run_to_the_budget() -> None:
    looks, rng = Looks((4, 8, 12)), np.random.default_rng(0)
    marks = made_marks([0, 0, -3], 12, 300, rng)
    decisions, runs = sweep(looks, marks)
    verdicts = {(d.one, d.other): d.verdict for d in decisions}
    assert verdicts["arm 0", "arm 2"] == verdicts["arm 1", "arm 2"] == "told apart"
    assert verdicts["arm 0", "arm 1"] == "stop: budget reached"
    assert {d.worse for d in decisions} == {"arm 2", None}
    assert runs < 36


def test_pairs_of_an_arm_that_is_out_need_no_more_seeds() -> None:
    looks, n = Looks((4, 8)), 300
    best = {s: np.arange(n) < 295 + s % 2 for s in range(4)}
    near = {s: np.arange(n) < 294 + s % 3 for s in range(4)}
    worst = {s: np.arange(n) < 200 - 2 * s for s in range(4)}
    decisions = decide(looks, 1, {"best": best, "near": near, "worst": worst})
    verdicts = {(d.one, d.other): d.verdict for d in decisions}
    assert verdicts == {
        ("best", "near"): "go on",
        ("best", "worst"): "told apart",
        ("near", "worst"): "told apart",
    }
    assert racing(decisions) == ["best", "near"]
    two_worse = {"best": best, "worst": worst, "alike": {s: np.roll(worst[s], 1) for s in worst}}
    verdicts = {(d.one, d.other): d.verdict for d in decide(looks, 1, two_worse)}
    assert verdicts["worst", "alike"] == "out of the race"


def test_what_was_told_apart_stays_so_and_later_seeds_are_not_read() -> None:
    looks, rng = Looks((4, 8)), np.random.default_rng(1)
    marks = made_marks([0, -3], 4, 300, rng)
    (first,) = decide(looks, 1, marks)
    assert first.verdict == "told apart"
    late = {a: {**m, **made_marks([0], 8, 300, rng)["arm 0"], **m} for a, m in marks.items()}
    assert decide(looks, 1, late) == [first]
    (second,) = decide(looks, 2, late)
    assert second.p == first.p


def test_an_arm_that_lacks_a_seed_is_not_tested_before_it_has_it() -> None:
    looks, rng = Looks((4, 8)), np.random.default_rng(1)
    marks = made_marks([0, -3], 4, 300, rng)
    del marks["arm 1"][2]
    (decision,) = decide(looks, 1, marks)
    assert (decision.p, decision.verdict, decision.worse) == (None, "go on", None)
    (decision,) = decide(looks, 2, marks)
    assert decision.verdict == "stop: budget reached"


def false_winners(looks: Looks, sweeps: int, arms: int = 5, texts: int = 300) -> int:
    """In how many sweeps without a difference any pair was told apart at any look: p only falls
    from look to look, so the last one has them all; to drop arms can only lose some."""
    rng, found = np.random.default_rng([arms, texts]), 0
    for _ in range(sweeps):
        marks = made_marks([0.0] * arms, looks.seeds[-1], texts, rng)
        found += any(d.worse for d in decide(looks, len(looks.seeds), marks))
    return found


def test_at_most_5_percent_of_sweeps_without_a_difference_name_a_winner() -> None:
    assert false_winners(Looks((3, 6)), 200, arms=4) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("bound", SHAPES)
@pytest.mark.parametrize(("arms", "texts"), [(5, 300), (5, 1_000), (2, 1_000)])
def test_at_most_5_percent_of_1000_sweeps_without_a_difference_name_a_winner(
    bound: str, arms: int, texts: int
) -> None:
    assert false_winners(Looks((3, 5, 8, 12), bound), 1_000, arms, texts) <= 50


def test_looking_without_paying_for_it_names_winners_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: each look and each pair at 5 %, as if it were the only one."""
    monkeypatch.setattr(Looks, "corrected", lambda self, look, p: p)
    monkeypatch.setattr("loraexp.stats.looks.shaffer", lambda values, arms: [*values])
    assert false_winners(Looks((3, 6)), 50, arms=4) > 5


def test_a_real_difference_is_found_with_fewer_runs() -> None:
    rng, looks = np.random.default_rng(0), Looks((4, 8, 12))
    runs = []
    for _ in range(5):
        decisions, used = sweep(looks, made_marks([0, -2, -2], 12, 300, rng))
        best = [d for d in decisions if "arm 0" in (d.one, d.other)]
        assert all(d.worse and d.worse != "arm 0" and d.p < LEVEL for d in best if d.p)
        runs.append(used)
    assert np.mean(runs) < 36 / 1.5
