"""Stage one of a tuned sweep: the search for a rate as such, and on the disk of a real sweep."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import train

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import Tune
from loraexp.records.record import read_record, read_trial
from loraexp.sweeps.adaptive.tuning import FIRST_SEED, Tuning, best_of, beyond, next_factors

START = (0.3, 1.0, 3.0)


def searched(loss: Callable[[float], float], most: int = 9) -> dict[float, float]:
    """What an arm tries whose validation loss is this function of the factor."""
    losses: dict[float, float] = {}
    while factors := next_factors(losses, START, most):
        losses |= {factor: loss(factor) for factor in factors}
    return losses


@given(st.floats(-2.5, 2.5))
def test_it_finds_the_best_of_a_grid_as_wide_as_it_could_go(optimum: float) -> None:
    def loss(factor: float) -> float:
        return (math.log10(factor) - optimum) ** 2

    tried = searched(loss, most=20)
    grid = [mantissa * 10.0**power for power in range(-5, 6) for mantissa in (1, 3)]
    assert best_of(tried) == pytest.approx(min(grid, key=loss))
    assert min(tried) < best_of(tried) < max(tried)
    assert len(tried) <= 3 + math.ceil(abs(optimum) * 2) + 2  # no more than the way there


def test_without_an_edge_to_go_beyond_three_are_enough() -> None:
    assert searched(lambda factor: abs(math.log(factor))) == pytest.approx(
        {0.3: math.log(1 / 0.3), 1.0: 0.0, 3.0: math.log(3)}
    )


def test_it_is_bounded_and_then_the_best_is_at_the_edge() -> None:
    tried = searched(lambda factor: -factor, most=6)
    assert sorted(tried) == [0.3, 1, 3, 10, 30, 100]
    assert best_of(tried) == 100


def test_what_did_not_train_is_worse_than_all_that_did() -> None:
    tried = searched(lambda factor: math.inf if factor > 0.05 else abs(math.log10(factor) + 2))
    assert best_of(tried) == 0.01
    assert next_factors(dict.fromkeys(START, math.inf), START, 9) == [0.1]


@pytest.mark.parametrize(
    ("tried", "then"),
    [((0.3, 1, 3), 10), ((1, 3, 10), 30), ((3, 1, 0.3), 0.1), ((1, 10), 100), ((2, 4, 8), 16)],
)
def test_a_grid_goes_on_as_it_began(tried: tuple[float, ...], then: float) -> None:
    assert beyond(tried) == then


def test_the_seeds_of_stage_one_are_no_final_runs() -> None:
    finals = [TrainConfig(seed=seed) for seed in (0, FIRST_SEED, FIRST_SEED + 2)]
    tuning = Tuning.of(finals, Tune(seeds=3), START)
    assert tuning.seeds == [FIRST_SEED + 1, FIRST_SEED + 3, FIRST_SEED + 4]
    assert len(tuning.arms) == 1  # seeds make no arm


TUNED = ("tune=lr", "lora.rank=1,2", "seed=0,1,2", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("tuned")
    status, out, err = train(folder, *TUNED)
    assert status == 0, err
    return folder, out, err


def test_only_the_chosen_rate_is_measured_on_test(tuned: tuple[Path, str, str]) -> None:
    folder, _, _ = tuned
    (file,) = folder.glob("outputs/sweeps/*/tuning.json")
    told = json.loads(file.read_text())
    assert [arm["config"]["lora"]["rank"] for arm in told["arms"]] == [1, 2]
    trials = [read_trial(one.parent) for one in folder.glob("outputs/train/*/validation.json")]
    records = [read_record(one.parent) for one in folder.glob("outputs/train/*/record.json")]
    assert {trial.config["seed"] for trial in trials} == {*told["seeds"]} == {FIRST_SEED}
    for arm in told["arms"]:
        rank, tried = arm["config"]["lora"]["rank"], {float(f): x for f, x in arm["tried"].items()}
        own = {
            trial.config["optim"]["lr_factor"]: trial.metrics["loss"]
            for trial in trials
            if trial.config["lora"]["rank"] == rank
        }
        assert tried == own
        assert arm["chosen"] == min(own, key=lambda factor: own[factor])
        finals = [r for r in records if r.config["lora"]["rank"] == rank]
        assert sorted(r.config["seed"] for r in finals) == [0, 1, 2]
        assert {r.config["optim"]["lr_factor"] for r in finals} == {arm["chosen"]}


def test_the_same_sweep_again_trains_nothing(tuned: tuple[Path, str, str]) -> None:
    folder, first, _ = tuned
    status, out, err = train(folder, *TUNED)
    assert status == 0
    assert "parameters train" not in err
    assert "\nFigure: " in out
    assert out.split("\nFigure: ")[0] == first.split("\nFigure: ")[0]
    tables = [pd.read_csv(file) for file in folder.glob("outputs/sweeps/*/comparison.csv")]
    assert tables[0].equals(tables[1])


def test_a_trial_that_fails_is_the_worst_rate_and_no_hole(tmp_path: Path) -> None:
    typed = ("tune=lr", "optim.lr_factor=1,10,1e38", "optim.grad_clip=0", "trainer.max_epochs=1")
    status, out, _ = train(tmp_path, *typed)
    assert status == 0
    assert "Counts as the worst rate: " in out
    assert "the loss is" in out
    (file,) = tmp_path.glob("outputs/sweeps/*/tuning.json")
    assert json.loads(file.read_text())["arms"][0]["tried"]["1e+38"] is None
