"""Texts of no class are in no split and no label, and only those of test are scored."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from split_texts import named, texts_of

from loraexp.commands import prepare
from loraexp.commands.prepare import PrepareConfig
from loraexp.config.schema import Data
from loraexp.data.splits import TextData, load_data, load_whole
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS

ROWS = [(f"{label} {at}", label) for label in ("bank", "food") for at in range(20)]
ROWS += [(f"oos {at}", "oos") for at in range(10)]


@pytest.fixture
def one_file(tmp_path: Path) -> Data:
    pd.DataFrame(ROWS, columns=["text", "label"]).to_csv(tmp_path / "own.csv", index=False)
    return Data(name="csv", path=str(tmp_path / "own.csv"), out_of_scope="oos")


@pytest.fixture
def folder(tmp_path: Path) -> Data:
    for name in SPLITS:
        rows = [(f"{name} {text}", label) for text, label in ROWS]
        pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / f"{name}.csv", index=False)
    return Data(name="csv", path=str(tmp_path), out_of_scope="oos")


def labelled(data: TextData) -> set[str]:
    return {label for name in SPLITS for _, label in named(data, name)}


def test_they_are_of_no_class_and_in_no_split(one_file: Data) -> None:
    data = load_data(one_file)
    assert data.labels == ("bank", "food")
    assert not {*data.out_of_scope} & {*texts_of(data)}
    assert sorted([*data.out_of_scope, *texts_of(data)]) == sorted(text for text, _ in ROWS)
    assert "oos" not in data.classes()
    assert "10 texts 'oos' are of no class: 10 are scored, none trains" in data.note
    as_class = load_data(replace(one_file, out_of_scope=None))  # the control
    assert as_class.labels == ("bank", "food", "oos")
    assert as_class.out_of_scope == ()


def test_the_others_are_split_as_if_they_were_not_there(one_file: Data, tmp_path: Path) -> None:
    without = pd.DataFrame([row for row in ROWS if row[1] != "oos"], columns=["text", "label"])
    without.to_csv(tmp_path / "without.csv", index=False)
    alone = load_data(Data(name="csv", path=str(tmp_path / "without.csv")))
    data = load_data(one_file)
    assert [data[name] for name in SPLITS] == [alone[name] for name in SPLITS]
    assert data.sha256 != alone.sha256
    assert replace(data, out_of_scope=()).sha256 == alone.sha256


def test_of_a_set_with_a_split_those_of_test_are_scored(folder: Data) -> None:
    data = load_data(folder)
    assert data.out_of_scope == tuple(f"test oos {at}" for at in range(10))
    assert "30 texts 'oos' are of no class: 10 of test are scored" in data.note
    assert len(load_whole(folder).out_of_scope) == 30


def test_a_test_split_without_any_is_refused(folder: Data) -> None:
    test = Path(str(folder.path)) / "test.csv"
    test.write_text("\n".join(line for line in test.read_text().split("\n") if "oos" not in line))
    with pytest.raises(UserError, match=r"data\.out_of_scope=oos: no test text has that label"):
        load_data(folder)


def test_two_labels_that_are_left_have_a_positive_one(one_file: Data) -> None:
    assert load_data(replace(one_file, positive_label="bank")).labels == ("food", "bank")
    with pytest.raises(UserError, match=r"unknown data\.positive_label 'oos'"):
        load_data(replace(one_file, positive_label="oos"))


def test_a_label_that_is_none_is_refused_with_those_there_are(one_file: Data) -> None:
    with pytest.raises(UserError, match=r"unknown data\.out_of_scope 'oss'; did you mean 'oos'"):
        load_data(replace(one_file, out_of_scope="oss"))
    with pytest.raises(UserError, match="data=sms_demo has one class only: 'ham'"):
        load_data(Data(out_of_scope="spam"))


def test_limit_and_dedupe_and_white_space_hold_for_them_too(tmp_path: Path) -> None:
    rows = [*ROWS, (" oos 3 ", "oos"), ("bank 1", "oos")]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "own.csv", index=False)
    data = load_data(Data(name="csv", path=str(tmp_path / "own.csv"), out_of_scope="oos"))
    assert data.out_of_scope.count("oos 3") == 2
    assert "1 of 12 texts of no class stand under a label, too" in data.warnings()
    own = Data(name="csv", path=str(tmp_path / "own.csv"), out_of_scope="oos", dedupe=True)
    assert load_data(own).out_of_scope.count("oos 3") == 1
    assert len(load_data(replace(own, limit=4)).out_of_scope) == 4


@pytest.mark.parametrize("kind", ["one_file", "folder"])
def test_prepare_writes_them_where_they_are_read_again(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    own: Data = request.getfixturevalue(kind)
    prepare.run(PrepareConfig(own, str(tmp_path / "out")))
    again = load_data(Data(name="csv", path=str(tmp_path / "out"), out_of_scope="oos"))
    assert again.sha256 == load_data(own).sha256
    assert labelled(again) == {"bank", "food"}
