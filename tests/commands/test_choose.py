"""choose: a budget is planned, kept, spent as ordinary runs, and ends with one decision."""

import json
import math
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import command
from verbs import plan

from loraexp.commands.choose import ChooseConfig
from loraexp.config.schema import Data, Lora, Optim, TrainConfig
from loraexp.errors import UserError
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.adaptive import choosing
from loraexp.sweeps.adaptive.choosing import LEAST_SEEDS, PORTFOLIO, Budget, arm_config
from loraexp.sweeps.shown.as_typed import as_typed

TINY = ("model=tiny", "data.limit=24", "trainer.max_epochs=1", "trainer.precision=fp32")


@given(st.integers(12, 500))
def test_a_plan_never_costs_more_than_its_budget(runs: int) -> None:
    budget = Budget.of(runs)
    assert 2 <= budget.arms <= len(PORTFOLIO)
    assert budget.seeds >= LEAST_SEEDS
    assert budget.rates >= 3
    assert budget.least <= budget.most <= runs


@given(st.integers(0, 400), st.integers(1, 40))
def test_as_many_runs_are_planned_as_the_workers_do_in_the_time(rounds: int, workers: int) -> None:
    runs = choosing.within(rounds, workers)
    if runs < 12:
        assert rounds < 12
        return
    budget = Budget.of(runs)
    waves = [3, *[1] * (budget.rates - 3), budget.seeds]  # of each arm; one waits for the other
    assert sum(math.ceil(budget.arms * wave / workers) for wave in waves) <= rounds
    assert runs <= rounds * workers
    assert runs == rounds or workers > 1


def test_n_workers_do_nearly_n_times_as_many() -> None:
    assert [choosing.within(rounds, 1) for rounds in (12, 24, 60)] == [12, 24, 60]
    assert [choosing.within(rounds, 2) for rounds in (24, 60)] == [48, 120]
    assert 12 < choosing.within(12, 2) < 24  # of few runs, the last ones of a wave work alone


def test_two_arms_are_the_least() -> None:
    with pytest.raises(UserError, match="two arms need 12 runs, got a budget of 11"):
        Budget.of(11)


def test_every_arm_of_the_portfolio_is_a_config() -> None:
    configs = [arm_config(ChooseConfig(), words) for words in PORTFOLIO]
    assert len({repr(config) for config in configs}) == len(PORTFOLIO)
    assert all(config.logger.name == ChooseConfig().logger.name for config in configs)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(
            method="lora",
            lora=Lora(rank=1, target_modules=["q_proj", "v_proj"], rank_pattern={"h.(0|1).*": 2}),
            data=Data("a-b", "my texts/a,b.csv", split="all", text_column="null"),
            optim=Optim(lr_factor=3.0),
        ),
    ],
    ids=["plain", "hostile"],
)
def test_a_config_as_typed_is_that_config_again(config: TrainConfig) -> None:
    python, _, module, verb, *words = shlex.split(as_typed(config))
    assert (python, module, verb) == ("python", "loraexp", "train")
    assert plan("train", words).jobs == [config]


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("choose")
    return (folder, *choose(folder))


def choose(folder: Path, *words: str) -> tuple[str, str]:
    status, out, err = command(folder, "choose", *TINY, *(words or ("runs=13",)))
    assert status == 0, err
    return out, err


def test_it_says_its_cost_before_and_one_decision_after(chosen: tuple[Path, str, str]) -> None:
    folder, out, err = chosen
    assert "plan: 2 arms (lora rank=8; head)" in err
    assert err.index("with 3 seeds: 12 runs") < err.index("trial 1 of")
    (take,) = [line for line in out.splitlines() if line.startswith("Take ")]
    assert " of 24 test texts (95 % over seeds: " in take
    assert "Outside line: TF-IDF" in out
    assert "Not tried: " in out
    runs = [*folder.glob("outputs/train/*")]
    assert len(runs) == 12
    records = [*folder.glob("outputs/train/*/record.json")]
    assert len(records) == 6
    line = out.splitlines()[-1]
    config = plan("train", shlex.split(line)[4:]).jobs[0]
    assert config.data.split == "all"
    methods = {json.loads(file.read_text())["config"]["method"] for file in records}
    assert config.method in methods


def test_again_it_trains_nothing_and_decides_the_same(chosen: tuple[Path, str, str]) -> None:
    folder, first, _ = chosen
    out, err = choose(folder)
    assert "parameters train" not in err
    assert out.partition("Take ")[2] == first.partition("Take ")[2]


def test_minutes_are_planned_once(
    chosen: tuple[Path, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = plan("choose", [*TINY, "minutes=2", f"output_dir={tmp_path}"]).jobs[0]
    monkeypatch.setattr(choosing, "seconds_a_run", lambda *_: 5.0)
    assert choosing.afforded(config, 1) == (24, 5.0)
    monkeypatch.setattr(choosing, "seconds_a_run", lambda *_: 1.0)  # a faster machine
    assert choosing.afforded(config, 1) == (24, 5.0)
    (file,) = tmp_path.glob("choices/*.json")
    file.write_text("[]")
    with pytest.raises(UserError, match="is damaged"):
        choosing.afforded(config, 1)
    less = plan("choose", [*TINY, "minutes=0.1", f"output_dir={tmp_path}"]).jobs[0]
    with pytest.raises(UserError, match="two arms need 12 runs, got a budget of 6"):
        choosing.afforded(less, 1)


def test_workers_are_another_choice_and_one_is_that_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[int] = []
    monkeypatch.setattr(choosing, "seconds_a_run", lambda _, workers: probed.append(workers) or 5.0)

    def planned(*words: str) -> tuple[int, float]:
        config = plan("choose", [*TINY, f"output_dir={tmp_path}", *words]).jobs[0]
        return choosing.afforded(config, int(config.workers))

    assert planned("minutes=2") == planned("minutes=2", "workers=1") == (24, 5.0)
    assert planned("minutes=2", "workers=2") == (48, 5.0)
    assert planned("runs=12", "workers=9") == (12, 5.0)
    assert probed == [1, 2, 6]  # two arms of three seeds: no more than six have work


@pytest.mark.slow
def test_two_workers_choose_as_one_does(chosen: tuple[Path, str, str], tmp_path: Path) -> None:
    out, err = choose(tmp_path, "runs=13", "workers=2")
    assert ", 2 at a time, " in err
    decision, before = (text.partition("Take ")[2].splitlines()[0] for text in (out, chosen[1]))
    assert decision == before
    ours, theirs = (
        {run.name: RunFolder(run).hashes() for run in folder.glob("outputs/train/*")}
        for folder in (tmp_path, chosen[0])
    )
    assert ours == theirs


@pytest.mark.parametrize("words", [[], ["runs=12", "minutes=1"]])
def test_it_wants_one_budget(words: list[str]) -> None:
    from loraexp.commands.choose import run

    with pytest.raises(UserError, match="choose needs one budget"):
        run(plan("choose", words).jobs[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["workers=0"], "workers must be auto or a number from 1 to 9999, got 0"),
        (["workers=2", "trainer=ddp_cpu"], "workers must be 1 with trainer.devices=2, got 2"),
    ],
)
def test_workers_that_cannot_be_are_refused(words: list[str], said: str) -> None:
    from loraexp.commands.choose import run

    with pytest.raises(UserError, match=said):
        run(plan("choose", ["runs=12", *words]).jobs[0])
