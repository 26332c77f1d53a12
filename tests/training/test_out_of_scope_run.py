"""A run with texts of no class: its record, what `eval` and `verify` say of it, and its tables."""

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from forging import off, record_of, reseal
from predicting import run as predict
from small import small_run

from loraexp.api import run_folder
from loraexp.commands import eval as command
from loraexp.commands.eval import EvalConfig
from loraexp.config.schema import Data
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.inference.predictor import Predictor
from loraexp.records.record import read_record
from loraexp.records.record_types import OUT_OF_SCOPE
from loraexp.report.html import to_html
from loraexp.report.markdown import as_markdown
from loraexp.report.report import report
from loraexp.results.comparison import findings
from loraexp.results.refused import refusal_notes
from loraexp.training.measure import measure_again
from loraexp.training.run import train

ROWS = [(f"{word} {at}", label) for label, word in (("a", "xx"), ("b", "yy")) for at in range(30)]
ROWS += [(f"zq {at} zq", "oos") for at in range(15)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scope")
    pd.DataFrame(ROWS, columns=["text", "label"]).to_csv(folder / "own.csv", index=False)
    data = Data(name="csv", path=str(folder / "own.csv"), out_of_scope="oos")
    config = replace(small_run(folder / "outputs", epochs=1, logger="none"), data=data)
    train(config)
    return run_folder(config)


def found(run: Path) -> Mapping[str, Any]:
    own: Mapping[str, Any] = read_record(run).metrics["test"][OUT_OF_SCOPE]
    return own


def test_the_record_has_what_the_probabilities_of_predict_give(run: Path) -> None:
    record, own, predictor = read_record(run), found(run), Predictor(run)
    data = load_data(Data(**record.config["data"]))
    assert record.labels == ["a", "b"]
    validation, test = (predictor.probabilities(data[n].texts) for n in ("validation", "test"))
    outside = predictor.probabilities([*data.out_of_scope]).max(-1).values
    assert own["threshold"] == pytest.approx(float(validation.max(-1).values.min()), abs=1e-6)
    near = own["threshold"] - 1e-6  # probabilities of other batches differ in the last bits
    assert own["outside_refused"] == int((outside < near).sum())
    assert own["refused"] == int((test.max(-1).values < near).sum())
    above = (test.max(-1).values[:, None] > outside).float().mean()
    assert own["auroc"] == pytest.approx(float(above), abs=1e-6)
    assert (own["n"], own["outside"]) == (12, 15)


def test_it_trains_as_without_them(run: Path, tmp_path: Path) -> None:
    record = read_record(run)
    config = small_run(tmp_path / "outputs", epochs=1, logger="none")
    pd.DataFrame(ROWS[:60], columns=["text", "label"]).to_csv(tmp_path / "o.csv", index=False)
    alone = train(replace(config, data=Data(name="csv", path=str(tmp_path / "o.csv"))))
    assert alone.hashes["adapter"] == record.hashes["adapter"]
    assert OUT_OF_SCOPE not in alone.metrics["test"]
    rest = {name: v for name, v in record.metrics["test"].items() if name != OUT_OF_SCOPE}
    assert rest == alone.metrics["test"]


def test_eval_and_verify_find_it_again(run: Path) -> None:
    assert measure_again(run, "test") == read_record(run).metrics["test"]
    assert OUT_OF_SCOPE not in measure_again(run, "validation")
    assert off(run) == []


def test_verify_names_a_count_that_is_not_so(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    stored = record_of(copy)
    own = stored["metrics"]["test"][OUT_OF_SCOPE]
    own["outside_refused"] += 1 if own["outside_refused"] < own["outside"] else -1
    reseal(copy, stored)
    assert off(copy) == ["record: metrics.test"]
    own["outside_refused"] = own["outside"] + 1
    reseal(copy, stored)
    with pytest.raises(UserError, match=r"test\.out_of_scope counts more texts than there"):
        off(copy)


def test_other_texts_meet_the_runs_own_threshold(run: Path, tmp_path: Path) -> None:
    rows = [("xx new", "a"), ("yy new", "b"), ("zq other", "oos"), ("zq third", "oos")]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "new.csv", index=False)
    other = Data(name="csv", path=str(tmp_path / "new.csv"), out_of_scope="oos")
    again = measure_again(run, "all", other)[OUT_OF_SCOPE]
    assert again["threshold"] == found(run)["threshold"]
    assert (again["n"], again["outside"]) == (2, 2)
    with pytest.raises(UserError, match=r"no label 'oos'; it knows a, b; .*data\.out_of_scope"):
        measure_again(run, "all", replace(other, out_of_scope=None))


def test_it_is_shown_where_results_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(EvalConfig(str(run)))
    assert "of no class, refused" in capsys.readouterr().out
    record, own = read_record(run), found(run)
    columns = ["oos_auroc", "oos_refused", "accuracy_refusing"]
    table = findings([record], ["method"], also=columns).table
    shown = dict(zip(table.header, table.rows[0], strict=True))
    right = own["right"] + own["outside_refused"]
    assert [shown[name] for name in columns] == [
        own["auroc"],
        own["outside_refused"] / own["outside"],
        right / (own["n"] + own["outside"]),
    ]
    (said,) = refusal_notes([record])
    assert said.startswith(f"Of 15 texts of no class {own['outside_refused']} are refused, of 12 ")
    page = report({run: record}, [])
    assert "Texts out of scope" in to_html(page)
    assert "of no class, refused" in as_markdown(page, "figures")


def test_without_them_nothing_of_it_is_shown(finished: Path) -> None:
    page = report({finished: read_record(finished)}, [])
    assert "of no class, refused" not in as_markdown(page, "figures")
    assert not [*refusal_notes([read_record(finished)])]
    table = findings([read_record(finished)], ["method"], also=["oos_auroc"]).table
    assert table.rows[0][-1] is None


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_predict_says_which_texts_are_refused_where_it_is_asked(
    kind: str, run: Path, tmp_path: Path
) -> None:
    data = load_data(Data(**read_record(run).config["data"]))
    file, texts = tmp_path / "in.txt", [*data.out_of_scope, *data.test.texts]
    file.write_text("".join(f"{text}\n" for text in texts))
    predict(run, file=str(file), refuse=True, format=kind, out=str(tmp_path / "out"))
    lines = (tmp_path / "out").read_text().splitlines()
    rows = [*csv.DictReader(lines)] if kind == "csv" else [*map(json.loads, lines)]
    refused = [str(row["refused"]).lower() == "true" for row in rows]
    threshold = found(run)["threshold"]
    assert refused == [float(row["probability"]) < threshold for row in rows]
    assert {True, False} == {*refused}


def test_a_run_without_a_threshold_refuses_none(finished: Path) -> None:
    with pytest.raises(UserError, match=r"^refuse=true needs .*data\.out_of_scope.*; got run="):
        predict(finished, text="hello", refuse=True)
