"""choose: a budget is planned, kept, spent as ordinary runs, and ends with one decision."""

import json
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
from loraexp.sweeps import choosing
from loraexp.sweeps.as_typed import as_typed
from loraexp.sweeps.choosing import LEAST_SEEDS, PORTFOLIO, Budget, arm_config

TINY = ("model=tiny", "data.limit=24", "trainer.max_epochs=1", "trainer.precision=fp32")


@given(st.integers(12, 500))
def test_a_plan_never_costs_more_than_its_budget(runs: int) -> None:
    budget = Budget.of(runs)
    assert 2 <= budget.arms <= len(PORTFOLIO)
    assert budget.seeds >= LEAST_SEEDS
    assert budget.rates >= 3
    assert budget.least <= budget.most <= runs


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
            data=Data(name="csv", path="my texts/a,b.csv", split="all", text_column="null"),
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
    monkeypatch.setattr(choosing, "seconds_a_run", lambda _: 5.0)
    assert choosing.afforded(config) == (24, 5.0)
    monkeypatch.setattr(choosing, "seconds_a_run", lambda _: 1.0)  # a faster machine
    assert choosing.afforded(config) == (24, 5.0)
    (file,) = tmp_path.glob("choices/*.json")
    file.write_text("[]")
    with pytest.raises(UserError, match="is damaged"):
        choosing.afforded(config)
    less = plan("choose", [*TINY, "minutes=0.1", f"output_dir={tmp_path}"]).jobs[0]
    with pytest.raises(UserError, match="two arms need 12 runs, got a budget of 6"):
        choosing.afforded(less)


@pytest.mark.parametrize("words", [[], ["runs=12", "minutes=1"]])
def test_it_wants_one_budget(words: list[str]) -> None:
    from loraexp.commands.choose import run

    with pytest.raises(UserError, match="choose needs one budget"):
        run(plan("choose", words).jobs[0])
