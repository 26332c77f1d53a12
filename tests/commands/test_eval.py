"""`loraexp eval` gives a run's own numbers again, and those of other data rightly numbered."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from verbs import plan

from loraexp.commands import eval as command
from loraexp.commands import prepare
from loraexp.commands.eval import EvalConfig
from loraexp.commands.prepare import PrepareConfig
from loraexp.config.schema import Data
from loraexp.data.splits import Split, TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record import read_record
from loraexp.records.record_types import SPLITS
from loraexp.report.measured import FORMATS, Measured
from loraexp.runs import load as assemble
from loraexp.training import measure
from loraexp.training.measure import measure_again, relabelled


@pytest.fixture
def own_copy(finished: Path, tmp_path: Path) -> Data:
    """The run's own texts as a stranger's files."""
    own = Data(**read_record(finished).config["data"])
    prepare.run(PrepareConfig(data=own, out=str(tmp_path / "copy")))
    return Data(name="csv", path=str(tmp_path / "copy"))


def swapped(data: TextData) -> TextData:
    """The same texts and labels, the labels numbered the other way round."""
    parts = {n: Split(data[n].texts, [1 - c for c in data[n].classes]) for n in SPLITS}
    return replace(data, labels=data.labels[::-1], **parts)


@pytest.mark.parametrize("split", SPLITS)
def test_own_data_give_the_records_metrics_to_the_digit(split: str, finished: Path) -> None:
    assert measure_again(finished, split) == read_record(finished).metrics[split]


def test_splits_have_different_metrics(finished: Path) -> None:
    metrics = read_record(finished).metrics
    assert len({metrics[split]["loss"] for split in SPLITS}) == 3


def test_command_prints_the_metrics_as_json(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.run(EvalConfig(str(finished), split="validation", format="json"))
    shown = json.loads(capsys.readouterr().out)
    wanted = {"run": str(finished), "split": "validation", "labels": ["ham", "spam"]}
    assert shown == wanted | read_record(finished).metrics["validation"]


def test_same_texts_in_other_files_give_the_same_metrics(
    finished: Path, own_copy: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command.run(EvalConfig(str(finished), own_copy, format="json"))
    shown = json.loads(capsys.readouterr().out)
    wanted = read_record(finished).metrics["test"]
    assert {key: shown[key] for key in wanted} == wanted


@pytest.mark.parametrize("key", ["pad_to", "max_length"])
def test_texts_are_read_as_the_run_read_them(key: str, finished: Path, own_copy: Data) -> None:
    other = replace(own_copy, **{key: 20})  # type: ignore[arg-type]
    measured = measure_again(finished, "test", other)
    assert measured == read_record(finished).metrics["test"]


def test_labels_in_another_order_are_numbered_as_the_run_numbers_them(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read_record(finished).metrics["test"]
    monkeypatch.setattr(assemble, "load_data", lambda config: swapped(load_data(config)))
    assert measure_again(finished, "test") == wanted
    monkeypatch.setattr(measure, "relabelled", lambda data, labels: data)
    assert measure_again(finished, "test") != wanted


def test_renumbering_changes_no_label_of_a_text() -> None:
    data = load_data(Data(limit=9))
    assert relabelled(swapped(data), data.labels) == data
    assert relabelled(data, ("spam", "eggs", "ham")).sha256 == data.sha256


def test_label_the_run_does_not_know_is_refused(finished: Path, tmp_path: Path) -> None:
    for split in SPLITS:
        file = tmp_path / f"{split}.csv"
        file.write_text("text,label\na,ham\nb,eggs\n", encoding="utf-8")
    other = Data(name="csv", path=str(tmp_path))
    with pytest.raises(UserError, match="the run has no label 'eggs'; it knows ham, spam"):
        measure_again(finished, "test", other)


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no adapter in"):
        command.run(EvalConfig(run=str(tmp_path)))


def test_all_measures_every_text_of_other_data_and_reads_no_split(
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    own = load_data(Data(**read_record(finished).config["data"])).test
    rows = [
        {"text": t, "label": ("ham", "spam")[c]}
        for t, c in zip(own.texts, own.classes, strict=True)
    ]
    file = tmp_path / "other.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    wanted = read_record(finished).metrics["test"]
    for typed in ("all", None):  # of a file of one's own all is measured by itself
        data = Data(name="csv", path=str(file))
        command.run(EvalConfig(str(finished), data, typed, format="json"))
        shown = json.loads(capsys.readouterr().out)
        assert {key: shown[key] for key in wanted} == wanted
        assert shown["split"] == "all"
    assert "24 rows; 24 of 24 texts are measured" in caplog.text
    assert "learnt from" not in caplog.text


def test_all_takes_a_file_of_one_class(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "spam.csv").write_text("text,label\na,spam\nb,spam\na,spam\n", encoding="utf-8")
    other = Data(name="csv", path=str(tmp_path / "spam.csv"))
    found = measure_again(finished, "all", other)
    assert found["n"] == sum(found["confusion"][1]) == 3
    assert found["auroc"] is None
    other.dedupe = True
    assert measure_again(finished, "all", other)["n"] == 2
    with pytest.raises(UserError, match="one class only: 'spam'"):
        measure_again(finished, "test", other)


def test_another_positive_label_than_the_runs_is_refused(finished: Path, own_copy: Data) -> None:
    other = replace(own_copy, positive_label="ham")
    with pytest.raises(UserError, match=r"positive_label=ham: to the run .* label is 'spam'$"):
        measure_again(finished, "test", other)
    other.positive_label = "spam"
    wanted = read_record(finished).metrics["test"]
    assert measure_again(finished, "test", other) == wanted


def test_other_data_are_stripped_as_the_runs_own(finished: Path, own_copy: Data) -> None:
    wanted = read_record(finished).metrics["test"]
    other = replace(own_copy, strip=False)
    file = Path(str(own_copy.path)) / "test.csv"
    header, rows = file.read_text(encoding="utf-8").split("\n", 1)
    file.write_text(f"{header}\n" + rows.replace('","', '  ","'), encoding="utf-8")
    assert load_data(other).test.texts[0].endswith("  ")
    assert measure_again(finished, "test", other) == wanted


def test_a_class_that_the_measured_texts_lack_is_told(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ham.csv").write_text("text,label\na,ham\nb,ham\n", encoding="utf-8")
    other = Data(name="csv", path=str(tmp_path / "ham.csv"))
    found = measure_again(finished, "all", other)
    assert found["f1"] is found["auroc"] is None
    assert "its F1, precision, recall and AUROC are not defined" in caplog.text
    caplog.clear()
    measure_again(finished, "test")
    assert caplog.text == ""


def test_all_of_the_runs_own_data_is_refused(finished: Path) -> None:
    with pytest.raises(UserError, match=r"^split=all needs data="):
        command.run(EvalConfig(str(finished), split="all"))


def many(classes: int) -> Measured:
    """A run that takes each class for the next one now and then."""
    counts = 3 * np.eye(classes, dtype=np.int64) + np.roll(np.eye(classes, dtype=np.int64), 1, 1)
    labels = [f"a class with a name of some length {n} \x1b[2J" for n in range(classes)]
    scores = {"n": 4 * classes, "loss": 1.0, "accuracy": 0.75, "auroc": None}
    scores |= dict.fromkeys(("f1", "precision", "recall"), 0.75)
    return Measured("run", "test", labels, scores | {"confusion": counts.tolist()})


def test_a_terminal_is_told_the_worst_of_many_classes_in_lines_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = FORMATS["table"](many(150))
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 45
    assert "20 of 150 classes" in text
    assert "10 of 150 pairs" in text
    assert "\x1b" not in text
    few = FORMATS["table"](many(5))
    assert "of 5" not in few
    assert few.count("recall") == 3


def test_every_class_is_in_the_files_and_a_row_of_the_confusion_is_a_line() -> None:
    found = many(150)
    assert len(FORMATS["csv"](found).splitlines()) == 151
    assert FORMATS["markdown"](found).count("\n") > 300
    text = FORMATS["json"](found)
    assert json.loads(text)["confusion"] == found.metrics["confusion"]
    assert len(text.splitlines()) < 330 < len(json.dumps(json.loads(text), indent=2).splitlines())


def test_command_prints_a_row_a_class(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(EvalConfig(str(finished), format="csv"))
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:3] == ["label", "n", "recall"]
    confusion = read_record(finished).metrics["test"]["confusion"]
    assert {row[0]: int(row[1]) for row in rows[1:]} == {
        "ham": sum(confusion[0]),
        "spam": sum(confusion[1]),
    }


def test_it_is_told_that_a_run_has_learnt_from_what_is_measured_whole(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Data(**read_record(finished).config["data"])
    measure_again(finished, "all", own)
    assert "it is what the run learnt from: split=test has what it has not" in caplog.text


def test_all_of_an_own_file_is_measured_as_it_is_typed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a folder, which says itself what its test texts are, these."""
    rows = [f"text {n},{label}" for n, label in enumerate(["ham", "spam"] * 10)]
    for name in (*SPLITS, "mine"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    for path, name, n in ((tmp_path / "mine.csv", "all", 20), (tmp_path, "test", 20)):
        words = [f"run={finished}", "data=csv", f"data.path={path}", "format=json"]
        command.run(plan("eval", words).jobs[0])
        said = json.loads(capsys.readouterr().out)
        assert (said["split"], said["n"]) == (name, n)
