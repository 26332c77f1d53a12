"""What people type arrives as they meant it."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from any_text import ANY_TEXT
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from verbs import plan, typed

from loraexp.config.compose import conf_dir
from loraexp.config.keys import keys
from loraexp.config.sweep import SweepConfig
from loraexp.sweeps import plan as planning


@pytest.fixture(autouse=True)
def fresh_hydra() -> Iterator[None]:
    """Hydra keeps one global state in a process."""
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def arrives(verb: str, *written: str) -> Any:
    """The typed config of what is written, a job without -m."""
    return plan(verb, [a for a in written if a != "-m"]).jobs[0]


def values(config: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in leaves(config).items() if name in names}


def leaves(config: Any) -> dict[str, Any]:
    found = {}
    for name, _ in keys(type(config)):
        value = config
        for part in name.split("."):
            value = getattr(value, part)
        found[name] = value
    return found


EVERYDAY: dict[str, Any] = {
    "seed=7": 7,
    "name=first try": "first try",
    "lora.rank=4": 4,
    "lora.alpha=32": 32.0,
    "lora.dropout=.1": 0.1,
    "lora.scaling=alpha_over_sqrt_r": "alpha_over_sqrt_r",
    "lora.init=gaussian": "gaussian",
    "lora.rank_pattern={v_proj:16,h.0.attn.q_proj:2}": {"v_proj": 16, "h.0.attn.q_proj": 2},
    "lora.alpha_pattern.v_proj=8": {"v_proj": 8.0},
    "optim.lr=5e-5": 5e-5,
    "optim.weight_decay=0": 0.0,
    "optim.schedule=cosine": "cosine",
    "optim.warmup=100": 100.0,
    "trainer.max_epochs=1": 1,
    "trainer.precision=bf16": "bf16",
    "trainer.devices=2": 2,
    "trainer.limit_batches=null": None,
    "data.batch_size=4": 4,
    "data.max_length=64": 64,
    "data.pad_to=120": 120,
    "data.dedupe=True": True,
    "head.pooling=mean": "mean",
    "head.bias=true": True,
    "model.init_seed=4294967295": 2**32 - 1,
    "+logger.group=a": "a",
    "++logger.entity=b": "b",
}


def test_the_keys_people_type_most_arrive_with_their_types() -> None:
    config = arrives("train", *EVERYDAY)
    names = {text.partition("=")[0].lstrip("+"): value for text, value in EVERYDAY.items()}
    names["lora.alpha_pattern"] = names.pop("lora.alpha_pattern.v_proj")
    assert values(config, *names) == names
    assert {n: type(v) for n, v in values(config, *names).items()} == {
        n: type(v) for n, v in names.items()
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[q_proj,v_proj]", ["q_proj", "v_proj"]),
        ("q_proj", "q_proj"),
        ("all-linear", "all-linear"),
        ("h.10.attn.q_proj", "h.10.attn.q_proj"),
        ("h.(10|11).*", "h.(10|11).*"),
        (r"h\.[01]\.attn\.(q|v)_proj", r"h\.[01]\.attn\.(q|v)_proj"),
        ("[h.(10|11).*, fc1]", ["h.(10|11).*", "fc1"]),
        ("['h.(10|11).*',fc1]", ["h.(10|11).*", "fc1"]),
    ],
)
def test_targets_may_be_names_lists_paths_and_regexes_without_quotes(
    written: str, meant: Any
) -> None:
    config = arrives("train", "model=gpt2", f"lora.target_modules={written}")
    assert config.lora.target_modules == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{h.(10|11).*:2}", {"h.(10|11).*": 2}),
        (r"{h.\(10|11\).*:2}", {"h.(10|11).*": 2}),
        (r"{h\.[01]\.attn.*: 2, v_proj:16}", {r"h\.[01]\.attn.*": 2, "v_proj": 16}),
        (
            r"{h\.\d{1,2}\.attn\.(?:q|k)_proj:2,(h.0.*):3}",
            {r"h\.\d{1,2}\.attn\.(?:q|k)_proj": 2, "(h.0.*)": 3},
        ),
    ],
)
@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
def test_patterns_may_have_regexes_as_typed(key: str, written: str, meant: dict[str, int]) -> None:
    assert getattr(arrives("train", "model=gpt2", f"lora.{key}={written}").lora, key) == meant


def test_a_sweep_over_patterns_gives_each_job_its_own(checked: list[SweepConfig]) -> None:
    plan("train", [r"lora.rank_pattern={h\.(0|1).*:2},{v_proj:4}", "-m"])
    assert [c.lora.rank_pattern for c in checked] == [{r"h\.(0|1).*": 2}, {"v_proj": 4}]


def test_text_keys_keep_what_looks_like_grammar_or_like_a_number() -> None:
    texts = {
        "data.path": "my files/a[1]=é(😀).csv",
        "name": "2026_11_05",
        "output_dir": r"C:\out\{x}",
        "model.weights": "~/it's here",
        "data.text_column": "1e5",
        "data.label_column": "true",
        "logger.project": "#5: $x ${y",
        "model.name": "",
    }
    config = arrives("train", "data=csv", *(f"{key}={text}" for key, text in texts.items()))
    wanted = texts | {"model.weights": os.path.expanduser("~/it's here")}
    assert values(config, *texts) == wanted


def test_a_quoted_path_may_have_commas() -> None:
    assert arrives("train", "data=csv", 'data.path="a,b.csv"').data.path == "a,b.csv"


def test_a_value_may_refer_to_another_key() -> None:
    assert arrives("train", "lora.rank=4", "lora.alpha=${lora.rank}").lora.alpha == 4.0


def test_params_takes_lists_with_and_without_brackets() -> None:
    bare = arrives("params", "models=gpt2,gpt2-large", "ranks=4", "methods=lora")
    bracketed = arrives("params", "models=[gpt2,gpt2-large]", "ranks=[4]", "methods=[lora]")
    assert bare == bracketed
    assert (bare.models, bare.ranks) == (["gpt2", "gpt2-large"], [4])


def test_what_plan_hands_on_means_the_same_when_it_is_planned_again() -> None:
    # What Hydra is given, where it launches the jobs.
    written = ["data=csv", "lora.rank_pattern={v_proj:16}", "data.path=a[1] \\ ${x", "name=2026_11"]
    again = plan("train", written).arguments[1:]
    assert arrives("train", *again) == arrives("train", *written)


@settings(deadline=None, max_examples=8)
@given(ANY_TEXT)
@example("???")
@example("null")
@example("")
@example("  spaced  ")
@example('Win $$$ "now", call {me} [at] \\ ${x} \\${y} \\\\${z}\\')
@example("x=range(3),choice(a,b)")
def test_a_text_to_predict_arrives_exactly_as_typed(text: str) -> None:
    assert arrives("predict", "run=a", f"text={text}").text == text


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[SweepConfig]:
    """The configs that plan() checks."""
    seen: list[SweepConfig] = []
    real = planning.check
    monkeypatch.setattr(planning, "check", lambda config: (seen.append(config), real(config)))
    return seen


@pytest.mark.parametrize("written", [["-m", "lora.rank=4,8"], ["lora.rank=4,8", "--multirun"]])
def test_minus_m_may_stand_first_or_last(written: list[str], checked: list[SweepConfig]) -> None:
    planned = plan("train", written)
    assert planned.sweep is not None
    assert planned.arguments[1:3] == ["-m", "lora.rank=4,8"]
    assert [config.lora.rank for config in checked] == [4, 8]


def test_an_experiment_can_be_a_sweep_without_minus_m(checked: list[SweepConfig]) -> None:
    assert plan("train", ["experiment=rank_sweep", "seed=0", "tune=null"]).sweep is not None
    grid = itertools.product([1, 2, 4, 8, 16], [0.3, 1, 3], [0])
    assert [(c.lora.rank, c.optim.lr_factor, c.seed) for c in checked] == [*grid]


def test_a_typed_value_replaces_the_one_an_experiment_sweeps(checked: list[SweepConfig]) -> None:
    plan(
        "train",
        ["experiment=rank_sweep", "tune=null", "lora.rank=3", "seed=7", "optim.lr_factor=1"],
    )
    assert [(config.lora.rank, config.seed) for config in checked] == [(3, 7)]


def test_one_run_is_no_sweep() -> None:
    assert plan("train", ["lora.rank=4"]).sweep is None


def test_the_jobs_that_are_checked_are_the_jobs_that_hydra_runs(checked: list[SweepConfig]) -> None:
    planned = plan("train", ["seed=range(2)", "lora.target_modules=[q_proj],'h.(0|1).*'", "-m"])
    configs = [config.run() for config in checked]
    assert planned.jobs == configs
    given = OverridesParser.create().parse_overrides(planned.arguments[2:-1])
    (grid,) = BasicSweeper.split_arguments(given, None)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert [typed("train", compose("train", job)) for job in grid] == configs
    assert len(configs) == 4


def test_a_sweep_writes_under_the_output_folder() -> None:
    planned = plan("train", ["seed=0,1", "output_dir=my out", "-m"])
    assert planned.sweep is not None
    assert planned.sweep.parent == Path("my out", "sweeps")
    assert planned.arguments[-1] == f'hydra.sweep.dir="{planned.sweep}"'
