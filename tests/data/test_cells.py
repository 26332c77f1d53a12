"""A text is text, a label text, a number or a truth; what is neither is refused with its row."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from loraexp.data.files import read_chunks, read_labelled
from loraexp.errors import UserError

NAN, INFINITY = float("nan"), float("inf")
GOOD = {"text": "fine", "label": "ham"}


def jsonl(file: Path, *rows: Any) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def parquet(file: Path, texts: Any, labels: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), file)
    return file


def labels(file: Path) -> list[str]:
    return list(read_labelled(file, "text", "label")[0]["label"])


def refusal(file: Path) -> str:
    with pytest.raises(UserError) as error:
        read_labelled(file, "text", "label")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(file)) + 120
    return str(error.value).removeprefix(f"{file}, ")


NO_LABELS = [NAN, INFINITY, -INFINITY, [], ["a", "b"], [["a"]], [NAN], {}, {"a": 1}, None, [None]]
NO_TEXTS = [*NO_LABELS, 1, 1.5, True, ["a"]]


@pytest.mark.parametrize("value", NO_LABELS, ids=str)
def test_what_is_no_label_is_refused_in_json(value: Any, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "f.jsonl", GOOD, {**GOOD, "label": value}, GOOD)
    assert refusal(file).startswith("row 2: label is ")


@pytest.mark.parametrize("value", NO_TEXTS, ids=str)
def test_what_is_no_text_is_refused_in_json(value: Any, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "f.jsonl", GOOD, {**GOOD, "text": value}, GOOD)
    assert refusal(file).startswith("row 2: text is ")
    with pytest.raises(UserError, match="row 2: text is "):
        list(read_chunks(file, ["text"]))


def test_labels_in_json_read_as_they_are_written(tmp_path: Path) -> None:
    values = ["NaN", "ham", 1, 1.0, -0.5, 1e20, True, False, ["a"], [3], "[1]"]
    file = jsonl(tmp_path / "f.jsonl", *({**GOOD, "label": value} for value in values))
    forms = ["NaN", "ham", "1", "1.0", "-0.5", "1e+20", "true", "false", "a", "3", "[1]"]
    assert labels(file) == forms


def test_a_number_too_large_for_one_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_text('{"text": "a", "label": 1e999}\n')
    assert refusal(tmp_path / "f.jsonl").startswith("row 1: label is Infinity, must be")


def test_a_wanted_key_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"text": "a", "label": "ham"}\n{"text": "a", "label": "x", "label": "y"}\n')
    assert refusal(file) == "row 2: 'label' is given 2 times"
    file.write_text('{"id": 1, "id": 2, "text": "a", "label": "x", "more": {"label": NaN}}\n')
    assert labels(file) == ["x"], "what is not read may be anything"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (pyarrow.array(["a", None]), "row 2: label is null"),
        (pyarrow.array([1.0, NAN]), "row 2: label is nan, must be"),
        (pyarrow.array([1.0, NAN]).dictionary_encode(), "row 2: label is nan, must be"),
        (pyarrow.array([["a"], ["a", "b"]]), "row 2: label is a list of 2, must be"),
        (pyarrow.array([["a"], []]), "row 2: label is a list of 0, must be"),
        (pyarrow.array([["a"], None]), "row 2: label is null"),
        (pyarrow.array([["a"], [None]]), "row 2: label is null"),
        (pyarrow.array([[1.0], [INFINITY]]), "row 2: label is inf, must be"),
        (pyarrow.array([{"a": 1}] * 2), "row 1: label is struct<a: int64>, must be"),
        (pyarrow.array([pd.Timestamp(0)] * 2), "row 1: label is timestamp"),
    ],
    ids=str,
)
def test_what_is_no_label_is_refused_in_parquet(values: Any, what: str, tmp_path: Path) -> None:
    assert refusal(parquet(tmp_path / "f.parquet", ["x", "y"], values)).startswith(what)


@pytest.mark.parametrize("values", [[1, 2], [1.5, 2.5], [True, False], [["a"], ["b"]]], ids=str)
def test_what_is_no_text_is_refused_in_parquet(values: Any, tmp_path: Path) -> None:
    file = parquet(tmp_path / "f.parquet", values, ["x", "y"])
    assert refusal(file).startswith("row 1: text is ")


@pytest.mark.parametrize(
    ("values", "forms"),
    [
        (pyarrow.array([0, 10]), ["0", "10"]),
        (pyarrow.array([1.0, 1.5]), ["1", "1.5"]),
        (pyarrow.array(np.array([0.1, 2], "float32")), ["0.1", "2"]),
        (pyarrow.array([True, False]), ["true", "false"]),
        (pyarrow.array([["a"], ["b"]]), ["a", "b"]),
        (pyarrow.array([[1], [2]]), ["1", "2"]),
        (pyarrow.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pyarrow.array(["a", "b"], pyarrow.large_string()), ["a", "b"]),
        (pyarrow.array([b"a", b"b"]), ["a", "b"]),
    ],
    ids=str,
)
def test_labels_in_parquet_read_as_before(values: Any, forms: list[str], tmp_path: Path) -> None:
    assert labels(parquet(tmp_path / "f.parquet", ["x", "y"], values)) == forms


def test_the_row_is_counted_over_batches(tmp_path: Path) -> None:
    values = [float(n) for n in range(3000)]
    values[2500] = NAN
    file = parquet(tmp_path / "f.parquet", ["x"] * 3000, values)
    assert refusal(file).startswith("row 2501: label is nan")


def test_a_wanted_parquet_column_twice_is_refused(tmp_path: Path) -> None:
    column = pyarrow.array(["a", "b"])
    for names, read in ((["text", "label", "label"], False), (["text", "label", "x", "x"], True)):
        table = pyarrow.table([column] * len(names), names=names)
        pyarrow.parquet.write_table(table, tmp_path / "f.parquet")
        if read:
            assert labels(tmp_path / "f.parquet") == ["a", "b"]
        else:
            assert "has 2 columns called 'label'; rename one" in refusal(tmp_path / "f.parquet")
