"""Paths: ~ is the home folder wherever a path is typed, and nobody's home folder is passed on."""

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from small import small_run
from verbs import SCHEMAS, plan

from loraexp.api import configure, run_folder
from loraexp.config.keys import keys
from loraexp.config.rules import check
from loraexp.config.schema import Data, TrainConfig
from loraexp.config.stored import from_dict, from_home, plain
from loraexp.errors import UserError
from loraexp.runs.naming import run_name
from loraexp.training.run import train

# Keys that name a file or a folder, whatever verb they are of.
PATHS = {"run", "runs", "out", "file", "peft", "path", "weights", "tokenizer", "output_dir"}
PATHS |= {"ledger", "data.text"}
NO_PATHS = {
    ("reproduce", "run"),
    ("combine", "weights"),
    ("choose", "runs"),
}  # true or false, numbers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "somebody"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def typed_paths() -> Iterator[tuple[str, str]]:
    for verb, schema in SCHEMAS.items():
        for name, _ in keys(schema):
            if {name, name.rpartition(".")[2]} & PATHS and (verb, name) not in NO_PATHS:
                yield verb, name


def value_of(config: object, name: str) -> object:
    for part in name.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize(("verb", "name"), [*typed_paths()])
def test_a_tilde_is_the_home_folder_in_every_path(verb: str, name: str, home: Path) -> None:
    needed = {"run": "run=r", "out": "out=o", "peft": "peft=p", "data.text": "data.text=[t]"}
    wanted = [text for key, text in needed.items() if key in dict(keys(SCHEMAS[verb]))]
    typed = [text for text in wanted if not text.startswith(f"{name}=") and verb != "reproduce"]
    if name == "data.path":
        typed.append("data=csv")
    (config,) = plan(verb, [*typed, f"{name}=~/here"]).jobs
    value = value_of(config, name)
    assert value in (str(home / "here"), [str(home / "here")])
    assert not is_dataclass(value)


def test_the_path_in_no_key_is_left_alone(home: Path) -> None:
    config = configure("model.repo=~/here", "data=csv", "data.path=a~/b")
    assert (config.model.repo, config.data.path) == ("~/here", "a~/b")


def test_a_config_is_passed_on_without_the_home_folder(home: Path) -> None:
    config = configure("data=csv", "data.path=~/x.csv", "output_dir=~/outputs")
    content = plain(config)
    assert content["data"]["path"] == "~/x.csv"
    assert str(home) not in str(content)
    assert from_dict(TrainConfig, content) == config
    absolute = configure("data=csv", f"data.path={home}/x.csv", f"output_dir={home}/outputs")
    assert run_name(absolute) == run_name(config)
    assert from_home(f"{home}body/x") == f"{home}body/x"  # begins alike, lies elsewhere
    assert {f.name for f in fields(config)} - content.keys() == {"rerun", "baselines"}


def test_a_run_makes_no_folder_called_tilde_and_names_no_home(home: Path) -> None:
    rows = "".join(f"hello {i},{'spam' if i % 2 else 'ham'}\n" for i in range(60))
    (home / "own.csv").write_text(f"text,label\n{rows}")
    config = small_run(home / "outputs", epochs=1, logger="csv")
    config.data = Data(name="csv", path=str(home / "own.csv"))
    train(config)
    assert [path.name for path in home.parent.iterdir()] == [home.name]
    folder = run_folder(config)
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {"record.json", "config.yaml", "adapter.json"} <= {path.name for path in written}
    for path in written:
        assert os.fsencode(home) not in path.read_bytes(), path.name


def test_nul_is_refused_by_key() -> None:
    config = configure()
    config.data.name, config.output_dir = "sms_demo", "out\0puts"
    with pytest.raises(UserError, match="output_dir must have no NUL"):
        check(config)
