"""In what is written of predictions no text acts on who reads it, and no progress stands."""

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from predicting import csv_rows, json_rows, run

from loraexp.inference.writers import WRITERS, Prediction, Shape


@pytest.mark.parametrize(("errors_to", "answers_to", "shown"), [(1, 0, 1), (1, 1, 0), (0, 0, 0)])
def test_progress_is_shown_on_a_terminal_that_the_answers_do_not_go_to(
    errors_to: int, answers_to: int, shown: int, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, answers = io.StringIO(), io.StringIO()
    monkeypatch.setattr(errors, "isatty", lambda: bool(errors_to))
    monkeypatch.setattr(answers, "isatty", lambda: bool(answers_to))
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", answers)
    run(finished, text="a", format="csv")
    assert ("1 texts" in errors.getvalue()) == bool(shown)
    assert "texts" not in answers.getvalue()
    assert answers.getvalue().startswith('"label"')


HARMFUL = ['=HYPERLINK("http://example.com")', "+1", "-1", "@SUM(A1)", "\tx", "\r=1"]
QUOTED = ["'", "'=1", "''", "'tis"]  # must not be taken for what was guarded
HARMLESS = ["hi", "a=1", "", "it's", " =1"]


def predicted(finished: Path, capsys: pytest.CaptureFixture[str], text: str, **keys: Any) -> str:
    run(finished, text=text, format="csv", **keys)
    ((_, _, shown),) = csv_rows(capsys.readouterr().out)
    return shown


@pytest.mark.parametrize("text", HARMFUL + QUOTED + HARMLESS)
def test_csv_is_guarded_so_that_the_text_can_be_had_again(
    text: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = predicted(finished, capsys, text)
    assert shown == (text if text in HARMLESS else f"'{text}")
    assert shown.removeprefix("'") == text
    assert predicted(finished, capsys, text, guard=False) == text
    run(finished, text=text, format="json")
    ((_, _, in_json),) = json_rows(capsys.readouterr().out)
    assert in_json == text


def test_guarded_are_labels_and_names_too() -> None:
    predictions = [Prediction("text", [[("-1", 0.5)], [("'1", 0.5)]])]
    shape = Shape([["-1"], ["'1"]], ["=a", "b"])
    shown = {}
    for kind in ("csv", "unguarded csv"):
        out = io.StringIO()
        WRITERS[kind](predictions, shape, out)
        shown[kind] = list(csv.reader(io.StringIO(out.getvalue())))
    assert shown["csv"][0][0] == "label ('=a)"
    assert shown["csv"][1] == ["'-1", "0.5", "''1", "0.5", "text"]
    assert shown["unguarded csv"][1] == ["-1", "0.5", "'1", "0.5", "text"]


def test_table_is_a_line_a_text_and_cannot_steer_the_terminal(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for text in ("\x1b[31mred\x07\nnext\u202e", "x" * 5000):
        run(finished, text=text, format="table")
        (line,) = capsys.readouterr().out.splitlines()
        assert line.isprintable()
        assert len(line) <= 60
        assert r"\x1b[31mred\x07\nnext\u202e" in line or line.endswith("x…")
