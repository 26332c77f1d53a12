"""In what is written of predictions no text acts on who reads it, and no progress stands."""

import io
import sys
from pathlib import Path

import pytest
from predicting import csv_rows, json_rows, run


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


FORMULAS = ['=HYPERLINK("http://example.com")', "+1", "-1", "@SUM(A1)", "\tx", "\r=1"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_csv_neutralises_formulas_and_json_keeps_the_text(
    formula: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(finished, text=formula, format="csv")
    ((_, _, in_csv),) = csv_rows(capsys.readouterr().out)
    run(finished, text=formula, format="json")
    ((_, _, in_json),) = json_rows(capsys.readouterr().out)
    assert (in_csv, in_json) == (f"'{formula}", formula)


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
