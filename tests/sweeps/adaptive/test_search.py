"""A search: Optuna draws, validation losses alone guide it, test texts are read once."""

import json
import re
import shutil
import statistics
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from in_process import command, train
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from started import start
from verbs import plan

from loraexp.config.sweep import Search
from loraexp.errors import UserError
from loraexp.sweeps.adaptive.search import study_in
from loraexp.sweeps.adaptive.space import distributions
from loraexp.sweeps.driving import driven

SPACE = ("lora.rank=choice(1,2,4)", "optim.lr=tag(log,interval(1e-4,1e-1))")
SEARCH = (*SPACE, "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("search")
    status, out, err = train(folder, *SEARCH, "search.trials=4")
    assert status == 0, err
    return folder, out, err


def trials(folder: Path) -> pd.DataFrame:
    (table,) = folder.glob("outputs/searches/*/trials.csv")
    return pd.read_csv(table)


def test_it_ends_with_the_best_trial_alone_measured_on_test(
    searched: tuple[Path, str, str],
) -> None:
    folder, _, err = searched
    table = trials(folder)
    assert len(table) == 4
    assert table["validation_loss"].is_monotonic_increasing
    (record,) = folder.glob("outputs/train/*/record.json")  # no other trial has test figures
    loss = json.loads(record.read_text())["metrics"]["validation"]["loss"]
    assert loss == pytest.approx(table["validation_loss"].min(), abs=1e-12)
    scored = [*folder.glob("outputs/train/*/validation.json")]
    assert len(scored) == 4
    assert all("test" not in json.loads(file.read_text()) for file in scored)
    assert re.search(r"trial 4 of 4: .*; best so far: validation loss [\d.]+ \(.*\); about", err)


def test_the_same_search_again_trains_nothing_and_more_trials_go_on(
    searched: tuple[Path, str, str], tmp_path: Path
) -> None:
    origin, first, _ = searched
    folder = Path(shutil.copytree(origin, tmp_path / "copy"))
    before = trials(folder)
    status, out, err = train(folder, *SEARCH, "search.trials=4")
    assert status == 0
    assert "parameters train" not in err
    assert out.split("The best")[0] == first.split("The best")[0]
    status, _, err = train(folder, *SEARCH, "search.trials=5")
    assert status == 0
    after = trials(folder)
    assert len(after) == 5
    assert {*before["validation_loss"]} < {*after["validation_loss"]}


def test_a_search_that_was_cut_short_draws_as_if_it_was_not(
    searched: tuple[Path, str, str], tmp_path: Path
) -> None:
    for number in (1, 3, 4):
        assert train(tmp_path, *SEARCH, f"search.trials={number}")[0] == 0
    expected = trials(searched[0])
    pd.testing.assert_frame_equal(trials(tmp_path).iloc[:, :3], expected.iloc[:4, :3])


@pytest.mark.slow
def test_two_of_the_same_at_once_share_the_trials(tmp_path: Path) -> None:
    both = [start(*SEARCH, "search.trials=8", folder=tmp_path) for _ in range(2)]
    ended = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    begun = [*tmp_path.glob("outputs/searches/*/trials/*.txt")]
    assert len(begun) in (8, 9)  # both may ask for the last one
    assert all("parameters train" in err for _, err in ended)


def test_status_has_its_trials_and_the_best_ones_run(searched: tuple[Path, str, str]) -> None:
    folder, first, _ = searched
    status, out, _ = command(folder, "sweep", "status")
    assert status == 0
    line, *tables = out.splitlines()
    assert line.endswith("4 of 4 trials tried, the best one measured")
    assert next(part for part in first.splitlines() if "val loss" in part) in tables
    assert "trainable" in out
    assert "nobody" not in out


def test_while_it_is_driven_others_join_in_and_none_is_left_to_itself(
    searched: tuple[Path, str, str],
) -> None:
    folder, first, _ = searched
    (own,) = (folder / "outputs" / "searches").iterdir()
    with driven(own):
        status, out, _ = train(folder, *SEARCH, "search.trials=4")
        assert (status, out.split("The best")[0]) == (0, first.split("The best")[0])
        status, _, err = train(folder, *SEARCH, "search.trials=4", "launcher.wait=false")
        assert (status, "drives it" in err) == (2, True)


def test_one_that_is_no_more_what_it_was_is_not_gone_on_with(
    searched: tuple[Path, str, str], tmp_path: Path
) -> None:
    """Its folder's name, which is that of what is searched, is another one's."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    (own,) = (folder / "outputs" / "searches").iterdir()
    own.rename(own.with_name("00000000"))
    status, _, err = command(folder, "sweep", "resume")
    assert (status, "is another search now" in err) == (2, True)


def test_a_setting_of_several_seeds_has_their_mean(tmp_path: Path) -> None:
    status, out, err = train(
        tmp_path, "lora.rank=1,2", "search.trials=2", "search.seeds=2", "trainer.max_epochs=1"
    )
    assert status == 0, err
    table = trials(tmp_path)
    assert {*table["seed"]} == {0, 1}
    assert len([*tmp_path.glob("outputs/train/*/record.json")]) == 2  # the best, with its seeds
    assert "95 % seeds" in out


def test_jobs_that_fail_are_told_and_do_not_end_the_search(tmp_path: Path) -> None:
    status, out, err = train(
        tmp_path, "search.trials=3", "optim.lr=choice(0.01,1e30)", "optim.grad_clip=0"
    )
    assert "failed: the loss is" in err
    assert status == 1, err
    assert "of 2 jobs failed; the same command tries these again" in err.splitlines()[-1]
    assert "the loss is" in out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lora.rank=1,2", CategoricalDistribution(["1", "2"])),
        ("lora.rank=choice(1,2)", CategoricalDistribution(["1", "2"])),
        ("lora.rank=range(2,9,3)", IntDistribution(2, 8, step=3)),
        ("lora.rank=int(interval(1,8))", IntDistribution(1, 8)),
        ("lora.rank=tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("optim.lr=interval(0.1,1)", FloatDistribution(0.1, 1.0)),
        ("optim.lr=tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
    ],
)
def test_hydras_words_are_optunas_distributions(typed: str, meant: object) -> None:
    override = OverridesParser.create().parse_override(typed)
    assert distributions([override]) == {override.key_or_group: meant}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["search.trials=2"], "search.trials needs a key with several values beside it"),
        (["search.trials=2", "seed=0,1"], "seed=0,1: a search repeats a setting by search.seeds=N"),
        (["search.trials=2", "optim.lr=interval(1,0.1)"], "the first must not be above the second"),
        (["search.trials=0", "lora.rank=1,2"], "search.trials must be at least 1, got 0"),
        (
            ["search.trials=2", "lora.rank=int(interval(0,4))"],
            "lora.rank must be at least 1, got 0",
        ),
        (["search.trials=2", "lora.rank=1,2", "tune=lr"], "leave out tune"),
        (["hydra/sweeper=optuna", "lora.rank=1,2", "-m"], "loraexp searches by itself"),
        (["search.trials=2", "lora.rank=1,2", "hydra/launcher=basic"], "plans its own jobs"),
    ],
)
def test_what_cannot_be_searched_is_said_before_a_run(typed: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan("train", typed)


def test_the_median_ends_runs_that_are_behind(tmp_path: Path) -> None:
    rates = "optim.lr=tag(log,interval(1e-9,1e-1))"
    typed = (rates, "search.trials=12", "search.pruner=median", "trainer.max_epochs=3")
    status, _, err = train(tmp_path, *typed)
    assert status == 0, err
    study = study_in(next(tmp_path.glob("outputs/searches/*")), Search(pruner="median"))
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    assert pruned
    assert f"{len(pruned)} of 12 trials were ended early by search.pruner" in err
    for trial in pruned:
        assert len(trial.intermediate_values) < 3  # before the last epoch
        earlier = study.get_trials()[: trial.number]
        step = max(trial.intermediate_values)
        others = [t.intermediate_values[step] for t in earlier if step in t.intermediate_values]
        assert trial.intermediate_values[step] > statistics.median(others)
    again, _, err = train(tmp_path, *typed)
    assert (again, "parameters train" in err) == (0, False)


@pytest.mark.slow
def test_wilcoxon_ends_settings_that_are_worse_seed_by_seed(tmp_path: Path) -> None:
    typed = ("optim.lr=choice(1e-3,10)", "search.trials=4", "search.seeds=6")
    status, _, err = train(tmp_path, *typed, "search.pruner=wilcoxon", "trainer.max_epochs=1")
    assert status == 0, err
    study = study_in(next(tmp_path.glob("outputs/searches/*")), Search(pruner="wilcoxon"))
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    assert pruned
    assert {trial.params["optim.lr"] for trial in pruned} == {"10"}
    assert all(2 <= len(trial.intermediate_values) < 6 for trial in pruned)
