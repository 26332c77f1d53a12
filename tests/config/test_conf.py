"""Every file in conf/ composes, says only what differs from the defaults, and names what exists."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from small import tiny_model
from verbs import SCHEMAS, groups_of, plan

from loraexp.adapters.methods import METHODS
from loraexp.commands.params import read_model
from loraexp.config.keys import keys
from loraexp.config.pretraining import PretrainConfig
from loraexp.config.schema import Logger, TrainConfig
from loraexp.config.sweep import Launcher, Seeds, Tune
from loraexp.data.sources import SOURCES
from loraexp.sweeps.plan import conf_dir

FILES = sorted(conf_dir().rglob("*.yaml"))
REQUIRED = {"run": "run=a", "out": "out=b", "peft": "peft=c", "data.text": "data.text=[a]"}
# Experiments that are sweeps, so train's alone.
SWEEPS = {
    f"experiment={file.relative_to(conf_dir() / 'experiment').with_suffix('').as_posix()}"
    for file in (conf_dir() / "experiment").rglob("*.yaml")
    if "mode: MULTIRUN" in file.read_text(encoding="utf-8")
}
KEYS = Path(__file__).parents[2] / "docs" / "one-run.md"


def identity(value: Any) -> str:
    return str(value.relative_to(conf_dir())) if isinstance(value, Path) else str(value)


def stems(group: str) -> set[str]:
    return {file.stem for file in (conf_dir() / group).glob("*.yaml")}


def combinations() -> Iterator[tuple[str, list[str]]]:
    """For each verb, commands that use each option of each of its groups at least once."""
    for verb in SCHEMAS:
        run = [typed for key, typed in REQUIRED.items() if key in dict(keys(SCHEMAS[verb]))]
        groups = groups_of(verb)
        for row in zip_longest(*groups.values()):
            options = zip(groups, row, strict=True)
            yield verb, [*run, *(f"{group}={option}" for group, option in options if option)]


@pytest.mark.parametrize(("verb", "typed"), list(combinations()), ids=str)
def test_every_option_of_every_group_composes_and_meets_the_rules(
    verb: str, typed: list[str]
) -> None:
    GlobalHydra.instance().clear()
    if verb == "params":
        typed = [one for one in typed if one not in SWEEPS]
    elif {*typed} & SWEEPS:  # of the many jobs those of one seed and one learning rate
        rate = [] if "tune=lr" in typed else ["tune=null", "optim.lr_factor=1"]
        typed = [*typed, "seed=0", *rate]
    if "model=tiny" in typed:  # whose context is shorter than what others pad to
        short = {"pretrain": ["data.block=64"], "import": []}
        typed = [*typed, *short.get(verb, ["data.pad_to=64"])]
    plan(verb, typed)  # raises if not


@pytest.mark.slow
@pytest.mark.parametrize("experiment", sorted(SWEEPS))
def test_every_job_of_every_experiment_meets_the_rules(experiment: str) -> None:
    GlobalHydra.instance().clear()
    plan("train", [experiment])


@pytest.mark.parametrize("file", FILES, ids=identity)
def test_a_file_has_at_most_25_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 25


def said(file: Path) -> dict[str, Any]:
    """The keys that a file of a group sets, by their full names, and their values."""
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(content, dict)
    for key in ("defaults", "hydra"):
        content.pop(key, None)
    if "@package _global_" not in file.read_text(encoding="utf-8"):
        content = {file.parent.name: content}
    return dict(flat(content))


def flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def beneath(file: Path) -> dict[str, Any]:
    """What the files beside say that `file` builds on."""
    entries = OmegaConf.load(file).get("defaults") or []
    names = [entry for entry in entries if isinstance(entry, str) and entry.startswith("/")]
    return {k: v for name in names for k, v in said(conf_dir() / f"{name[1:]}.yaml").items()}


def default(name: str, owner: type[Any] = TrainConfig) -> Any:
    group, _, last = name.partition(".")
    if group in (own := {"tune": Tune, "seeds": Seeds, "launcher": Launcher}):
        owner, name = own[group], last
    value: Any = owner()
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("file", [f for f in FILES if f.parent != conf_dir()], ids=identity)
def test_a_file_sets_nothing_to_its_default(file: Path) -> None:
    owner = PretrainConfig if file.parent.name == "recipe" else TrainConfig
    under = beneath(file)
    repeated = {k for k, v in said(file).items() if v == under.get(k, default(k, owner))}
    # A file must say something, if only its own name.
    assert not repeated or len(said(file)) == 1


def test_the_check_for_repeated_defaults_sees_one(tmp_path: Path) -> None:
    (tmp_path / "optim").mkdir()
    file = tmp_path / "optim" / "slow.yaml"
    file.write_text("lr: 1e-5\nschedule: linear\n")
    assert [key for key, value in said(file).items() if value == default(key)] == ["optim.schedule"]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("method", set(METHODS)),
        ("data", set(SOURCES)),
        ("logger", set(Logger.__dataclass_fields__["name"].metadata["choices"])),
    ],
)
def test_a_group_has_one_file_for_each_row_of_its_table(group: str, names: set[str]) -> None:
    assert stems(group) == names


@pytest.mark.parametrize("group", ["method", "data", "logger", "model"])
def test_an_option_is_called_what_its_file_is_called(group: str) -> None:
    key = "method" if group == "method" else f"{group}.name"
    for name in stems(group):
        assert said(conf_dir() / group / f"{name}.yaml").get(key, default(key)) == name


@pytest.mark.parametrize("group", ["model", "data", "method"])
def test_the_page_of_one_run_names_every_option(group: str) -> None:
    (row,) = re.findall(rf"^\| `{group}=` \|(.*)\|$", KEYS.read_text(encoding="utf-8"), re.M)
    assert stems(group) <= set(re.findall(r"[\w-]+", row))


def test_the_tiny_model_is_that_of_the_tests() -> None:
    assert read_model("tiny") == tiny_model()


@pytest.mark.parametrize("name", sorted(stems("model") - {"nano", "tiny"}))
def test_the_size_a_model_file_names_is_its_own(name: str) -> None:
    model = read_model(name)
    d = model.d_model
    blocks = model.n_layer * (12 * d * d + 13 * d)
    parameters = (model.vocab_size + model.context) * d + blocks + 2 * d
    words = (conf_dir() / "model" / f"{name}.yaml").read_text(encoding="utf-8")
    (millions,) = re.findall(r"^# ([\d,]+)M parameters", words)
    assert int(millions.replace(",", "")) == round(parameters / 1e6)
