"""`loraexp predict` writes what it is asked for beside a label: more of them, all probabilities,
columns of the file."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from predicting import run
from small import small_run, trained

from loraexp.api import run_folder
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.inference.predictor import Predictor
from loraexp.inference.writers import Prediction, Shape, write_csv

TEXTS = ["See you at seven", "WINNER!! Call now", "ok"]


@pytest.fixture(scope="module")
def columned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file of three classes whose text is in the column `words`."""
    folder = tmp_path_factory.mktemp("columned")
    texts = load_data(small_run(folder, 1, "none").data).train.texts
    rows = [(text, "abc"[at % 3]) for at, text in enumerate(texts)]
    (folder / "own.jsonl").write_text(
        "".join(json.dumps({"words": text, "kind": kind}) + "\n" for text, kind in rows * 2),
        encoding="utf-8",
    )
    config = small_run(folder, epochs=1, logger="none")
    own = {"name": "csv", "path": str(folder / "own.jsonl"), "text_column": "words"}
    config.data = replace(config.data, **own, label_column="kind", limit=None)
    trained(config)
    return run_folder(config)


def written(capsys: pytest.CaptureFixture[str], run_of: Path, **keys: Any) -> list[dict[str, Any]]:
    capsys.readouterr()
    run(run_of, **keys)
    out = capsys.readouterr().out
    if keys["format"] == "csv":
        return [*csv.DictReader(io.StringIO(out))]
    return [json.loads(line) for line in out.splitlines()]


def test_all_probabilities_have_a_column_each_under_their_labels(
    columned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = Predictor(columned)
    wanted = dict(zip(oracle.labels, oracle.probabilities(TEXTS[:1])[0].tolist(), strict=True))
    given = {"text": TEXTS[0], "probabilities": "all"}
    (row,) = written(capsys, columned, **given, format="csv")
    assert {label: float(row[f"p({label})"]) for label in wanted} == pytest.approx(wanted, abs=1e-6)
    (found,) = written(capsys, columned, **given, format="json")
    assert found["probabilities"] == pytest.approx(wanted, abs=1e-6)
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["label"] == found["label"] == max(wanted, key=lambda label: wanted[label])
    (row,) = written(capsys, columned, text=TEXTS[0], format="csv")
    assert [*row] == ["label", "probability", "text"]  # only where it is asked for


def test_top_gives_the_likeliest_labels_in_order_and_no_more_than_there_are(
    columned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = Predictor(columned)
    chances = oracle.probabilities(TEXTS[:1])[0].tolist()
    wanted = sorted(zip(chances, oracle.labels, strict=True), reverse=True)
    (row,) = written(capsys, columned, text=TEXTS[0], top=2, format="csv")
    assert [*row] == ["label", "probability", "label 2", "probability 2", "text"]
    assert [row["label"], row["label 2"]] == [label for _, label in wanted[:2]]
    (found,) = written(capsys, columned, text=TEXTS[0], top=9, format="json")
    assert [one["label"] for one in found["top"]] == [label for _, label in wanted]


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_columns_of_the_file_stay_with_their_texts(
    kind: str, columned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"words": text, "label": f"own {n}", "id": n} for n, text in enumerate(TEXTS)]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    # The run's own data have their texts in `words`, so nobody has to type it.
    found = written(capsys, columned, file=str(file), columns=["id", "label"], format=kind)
    assert [row["text"] for row in found] == TEXTS
    assert [row["id"] for row in found] == ["0", "1", "2"]
    assert [row["label (file)"] for row in found] == ["own 0", "own 1", "own 2"]
    assert {row["label"] for row in found} <= {*"abc"}


def test_a_file_with_a_column_text_is_read_too_and_the_runs_comes_first(
    columned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, other = tmp_path / "both.csv", tmp_path / "other.csv"
    both.write_text("text,words\nno,yes\n", encoding="utf-8")
    other.write_text("text\nyes\n", encoding="utf-8")
    for file in (both, other):
        (row,) = written(capsys, columned, file=str(file), format="csv")
        assert row["text"] == "yes"
    (row,) = written(capsys, columned, file=str(both), text_column="text", format="csv")
    assert row["text"] == "no"
    neither = tmp_path / "neither.csv"
    neither.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no column 'words'; it has a, b"):
        run(columned, file=str(neither))


def test_a_line_in_is_a_line_out_blank_ones_too(
    columned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"one\n\n \nfour\n\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    found = written(capsys, columned, format="json")
    assert [row["text"] for row in found] == ["one", "", " ", "four", ""]
    assert all(row["label"] in {*"abc"} for row in found)


def test_columns_without_a_file_that_has_any_are_refused(columned: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^columns=id are of a file, and file= names none$"):
        run(columned, text="a", columns=["id"])
    (tmp_path / "in.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"in\.txt has a text a line and no columns"):
        run(columned, file=str(tmp_path / "in.txt"), columns=["id"])
    (tmp_path / "in.csv").write_text("text,x\na,1\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no column 'id'; it has text, x"):
        run(columned, file=str(tmp_path / "in.csv"), columns=["id"])


def test_columns_that_would_be_called_alike_are_refused_and_cells_guarded() -> None:
    shape = Shape([["a"]], carried=["label", "label (file)"])
    with pytest.raises(UserError, match=r"^columns: two would be called 'label \(file\)'"):
        write_csv([], shape, io.StringIO())
    with pytest.raises(UserError, match=r"^columns: two would be called 'id'"):
        write_csv([], Shape([["a"]], carried=["id", "id"]), io.StringIO())
    out = io.StringIO()
    write_csv([Prediction("t", [[("a", 1.0)]], ["=1"])], Shape([["a"]], carried=["=id"]), out)
    assert out.getvalue().splitlines() == [
        '"\'=id","label","probability","text"',
        '"\'=1","a",1.0,"t"',
    ]
