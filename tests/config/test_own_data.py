"""A user's own file is called after itself; runs of before, which were all called csv, stay."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.api import configure
from loraexp.config.own_data import is_own, name_of
from loraexp.config.schema import Data
from loraexp.data.sources import find_source
from loraexp.errors import UserError
from loraexp.runs.naming import run_name
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.shown.as_typed import as_typed


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sets/imdb.csv", "imdb"),
        ("sets/imdb.v2.jsonl", "imdb.v2"),
        ("sets/ag news (4).tsv", "ag-news-4"),
        ("sets/imdb/train.csv", "imdb"),
        ("sets/imdb/Data.parquet", "imdb"),
        ("sets/sms_spam.csv", "own-sms_spam"),  # no set that has this name already
        ("sets/csv.csv", "csv"),
        ("sets/???.csv", "csv"),
        (f"sets/{'x' * 90}.csv", "x" * 40),
    ],
)
def test_a_file_is_called_after_itself(path: str, name: str) -> None:
    assert name_of(Path(path)) == name


def test_a_folder_is_called_after_itself(tmp_path: Path) -> None:
    (tmp_path / "train.v2").mkdir()
    assert name_of(tmp_path / "train.v2") == "train.v2"


def test_its_runs_bear_its_name_or_the_one_that_is_typed() -> None:
    own = [configure("data=csv", *more) for more in (["data.path=a.csv"], ["data.path=b.csv"])]
    assert [run_name(one).split("-")[0] for one in own] == ["a", "b"]
    typed = configure("data=csv", "data.path=a.csv", "data.name=mails")
    assert run_name(typed).startswith("mails-nano-lora-r8-seed0-")
    # what it is called changes no result, and so no hash; another file does
    assert run_name(typed).rpartition("-")[2] == run_name(own[0]).rpartition("-")[2]
    assert run_name(own[1]).rpartition("-")[2] != run_name(own[0]).rpartition("-")[2]
    assert configure("data=sms_spam", "data.path=a.csv").data.name == "sms_spam"


def test_a_run_of_before_is_found_by_its_name_of_then(tmp_path: Path) -> None:
    config = configure("data=csv", "data.path=a.csv", f"output_dir={tmp_path}")
    then = run_name(replace(config, data=replace(config.data, name="csv")))
    assert then.startswith("csv-nano-")
    assert RunFolder.of(config).name == run_name(config)  # the control: it is not there
    (tmp_path / "train" / then).mkdir(parents=True)
    assert RunFolder.of(config).name == then
    (tmp_path / "train" / run_name(config)).mkdir()
    assert RunFolder.of(config).name == run_name(config)


def test_a_named_file_is_read_and_a_name_without_file_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,label\na,x\nb,y\n")
    assert find_source(Data("mails", str(file))).labels == ("x", "y")
    assert not is_own(Data("mails"))
    with pytest.raises(UserError, match="unknown data 'mails'"):
        find_source(Data("mails"))


@pytest.mark.parametrize("name", ["", "a/b", r"a\b", "a\x1b"])
def test_a_name_is_part_of_a_folders_name(name: str) -> None:
    with pytest.raises(UserError, match=r"^data\.name must be a word"):
        configure("data=csv", "data.path=a.csv", f"data.name={name}")


@pytest.mark.parametrize("more", [[], ["data.name=my mails"]])
def test_the_command_that_is_shown_gives_the_same_run(more: list[str]) -> None:
    config = configure("data=csv", "data.path=a.csv", *more)
    words = shlex.split(as_typed(config))
    assert configure(*words[words.index("train") + 1 :]) == config
    assert any(word.startswith("data.name=") for word in words) == bool(more)
