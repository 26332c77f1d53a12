"""Tables keep every digit, fit a terminal, and carry no text that acts on who reads it."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.results.escape import printable
from loraexp.results.record import Record
from loraexp.results.tables import (
    FORMATS,
    RUN_COLUMNS,
    Column,
    Table,
    ends,
    runs_table,
    size,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
    to_terminal,
)

MakeRecord = Callable[..., Record]
CELLS = [0.9961722493171692, 0.9865771532058716, 0.9733333587646484, 0.9723333587646484]


def words(*rows: list[str]) -> Table:
    """A table of texts."""
    return Table([Column(name, name, words=True) for name in "abc"[: len(rows[0])]], rows)


def rank_sweep(make_record: MakeRecord) -> list[Record]:
    counts = make_record().counts
    return [
        make_record(
            {"lora.rank": rank},
            counts=counts | {"trainable": 73_728 * rank + 1536, "adapter_bytes": 294_912 * rank},
        )
        for rank in (4, 8, 16)
    ]


def test_a_row_is_what_the_record_says(make_record: MakeRecord) -> None:
    table = runs_table([make_record()])
    cells = ["lora", 8, 16.0, "q,k,v,out", 591_360, 0.4729700685703567, 2_365_440, *CELLS, 111.25]
    assert table.rows == [cells]
    assert table.header == [column.name for column in RUN_COLUMNS]


def test_shown_numbers_are_rounded(make_record: MakeRecord) -> None:
    settings, counts = ["lora", "8", "16", "q,k,v,out"], ["591,360", "0.47", "2.4 MB"]
    shown = [*settings, *counts, "99.6", "98.7", "97.3", "97.2", "111"]
    assert runs_table([make_record()]).text() == [shown]


def test_a_method_without_a_branch_has_no_rank(make_record: MakeRecord) -> None:
    counts = make_record().counts | {"adapted_modules": 0}
    row = runs_table([make_record({"method": "head"}, counts=counts)]).rows[0]
    assert row[:4] == ["head", None, None, None]


def test_a_score_that_is_not_defined_is_an_empty_cell(make_record: MakeRecord) -> None:
    metrics = make_record().metrics
    table = runs_table([make_record(metrics=metrics | {"test": metrics["test"] | {"f1": None}})])
    assert dict(zip(table.header, table.text()[0], strict=True))["test_f1"] == ""


VALUES: dict[str, tuple[Any, Any]] = {
    "seed": (0, 1),
    "data.name": ("sms_spam", "csv"),
    "model.name": ("gpt2", "gpt2-xl"),
    "optim.lr": (0.001, 0.0003),
    "lora.dropout": (0.0, 0.1),
    "lora.scaling": ("alpha_over_r", "alpha"),
    "head.pooling": ("last_token", "mean"),
    "last_block.n": (1, 2),
    "trainer.max_epochs": (1, 5),
    "model.weights": ("hub", "random"),
}


@pytest.mark.parametrize("key", VALUES)
def test_a_setting_in_which_runs_differ_gets_its_column(make_record: MakeRecord, key: str) -> None:
    first, second = VALUES[key]
    table = runs_table([make_record({key: first}), make_record({key: second})])
    assert table.header[0] == key
    assert [row[0] for row in table.rows] == [first, second]
    assert [row[0] for row in table.text()] == [str(first), str(second)]
    same = runs_table([make_record({key: second}), make_record({key: second})])
    assert key not in same.header


def test_models_are_told_apart_by_name_and_not_by_all_that_makes_them(
    make_record: MakeRecord,
) -> None:
    larger = make_record({"model.name": "gpt2-medium", "model.n_layer": 24, "model.d_model": 1024})
    assert runs_table([make_record(), larger]).header[:2] == ["model.name", "method"]


def test_where_results_go_is_no_column(make_record: MakeRecord) -> None:
    other = make_record({"output_dir": "elsewhere", "logger.name": "wandb"})
    assert runs_table([make_record(), other]).header[0] == "method"


def test_three_runs_of_a_sweep_fit_80_columns_a_line_each(make_record: MakeRecord) -> None:
    table = runs_table(rank_sweep(make_record))
    lines = to_terminal(table, width=80).splitlines()
    assert len(lines) == 1 + 3
    assert max(map(len, lines)) <= 80
    for line, row in zip(lines[1:], table.text(), strict=True):
        assert line.split() == " ".join(row).split()


def test_a_table_too_wide_for_the_terminal_is_folded_and_loses_nothing(
    make_record: MakeRecord,
) -> None:
    lines = to_terminal(runs_table(rank_sweep(make_record)), width=50).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 50
    assert "…" not in "".join(lines)


def test_columns_of_numbers_end_and_columns_of_words_begin_together() -> None:
    table = Table([Column("n", "n"), Column("w", "w", words=True)], [[5, "a"], [1000, "bc"]])
    assert to_terminal(table, 80).splitlines() == ["    n w", "    5 a", "1,000 bc"]


def test_control_characters_are_shown_and_do_not_act() -> None:
    text = to_terminal(words(["\x1b[31mred\x1b[0m", "two\nlines\r", "\u202ebidi"]), 100)
    assert text.splitlines()[1:] == [r"\x1b[31mred\x1b[0m two\nlines\r \u202ebidi"]


def test_markup_of_rich_is_shown_and_does_not_act() -> None:
    cells = ["[red]x[/red]", "[link=y]:smile:", "[/]"]
    assert to_terminal(words(cells), 100).splitlines()[1].split() == cells


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=12), min_size=2, max_size=2))
def test_whatever_the_text_every_format_has_printable_characters_only(cells: list[str]) -> None:
    for render in FORMATS.values():
        assert render(words(cells)).replace("\n", "").isprintable()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), min_size=1, max_size=3))
def test_csv_reads_back_and_no_cell_is_a_formula(rows: list[list[str]]) -> None:
    header, *read = csv.reader(io.StringIO(to_csv(words(*rows)), newline=""))
    assert header == ["a", "b"]
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [printable(cell).removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for r in read for cell in r)


def test_csv_puts_an_apostrophe_before_a_formula_only() -> None:
    cells = ["=1+1", "@SUM(A1)", "a=b"]
    assert next(csv.reader([to_csv(words(cells)).splitlines()[1]])) == ["'=1+1", "'@SUM(A1)", "a=b"]


def test_csv_has_no_bare_carriage_return_to_start_a_formula_after() -> None:
    assert to_csv(words(["x\r=1+1", "y"])) == "a,b\nx\\r=1+1,y"


def test_csv_keeps_numbers_as_they_are(make_record: MakeRecord) -> None:
    table = Table([Column("x", "x"), Column("y", "y"), Column("z", "z")], [[-0.1, None, 10**6]])
    assert to_csv(table) == "x,y,z\n-0.1,,1000000"
    row = dict(next(csv.DictReader(to_csv(runs_table([make_record()])).splitlines())))
    assert float(row["test_accuracy"]) == CELLS[2]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("ab|\\ ", max_size=6), min_size=3, max_size=3))
def test_markdown_has_a_cell_a_column_whatever_the_text(cells: list[str]) -> None:
    row = to_markdown(words(cells)).splitlines()[2]
    inner = re.split(r"(?<!\\)\|", row)[1:-1]
    assert [cell.strip().replace("\\|", "|") for cell in inner] == [cell.strip() for cell in cells]


def test_markdown_is_a_table_with_a_rule(make_record: MakeRecord) -> None:
    lines = to_markdown(runs_table([make_record()])).splitlines()
    assert lines[0].startswith("| method | rank | alpha | targets | trainable |")
    assert lines[1].startswith("| :-- | --: | --: | :-- | --: |")
    assert lines[2].startswith("| lora | 8 | 16 | q,k,v,out | 591,360 |")


def test_latex_escapes_what_latex_would_obey() -> None:
    line = to_latex(words(["a_b & 5 % #1 $x$ {y}", "~ ^ \\", "z"])).splitlines()[3]
    assert line == (
        r"a\_b \& 5 \% \#1 \$x\$ \{y\} & "
        r"\textasciitilde{} \textasciicircum{} \textbackslash{} & z \\"
    )


def test_latex_has_a_column_a_letter(make_record: MakeRecord) -> None:
    first, heading, rule, row, last = to_latex(runs_table([make_record()])).splitlines()
    assert (first, rule, last) == (
        r"\begin{tabular}{lrrlrrrrrrrr}",
        r"\hline",
        r"\end{tabular}",
    )
    for line in (heading, row):
        assert len(re.findall(r"(?<!\\)&", line)) == len(RUN_COLUMNS) - 1


def test_json_keeps_types_and_every_digit(make_record: MakeRecord) -> None:
    table = runs_table([make_record({"seed": 0}), make_record({"seed": 1})])
    read = json.loads(to_json(table))
    assert [list(row.values()) for row in read] == table.rows
    assert [row["seed"] for row in read] == [0, 1]
    assert read[0]["test_accuracy"] == CELLS[2] != round(CELLS[2], 6)


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_without_rows_is_a_heading(name: str) -> None:
    assert FORMATS[name](Table([Column("x", "x")], [])).splitlines()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (4096, "4.1 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (2_365_440, "2.4 MB"),
        (548_105_171, "548.1 MB"),
        (6_230_457_608, "6.2 GB"),
    ],
)
def test_sizes_are_in_decimal_units(count: int, text: str) -> None:
    assert size(count) == text


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**12 - 10**9))
def test_a_size_shows_three_digits_before_the_point_at_most(count: int) -> None:
    amount, unit = size(count).split()
    assert float(amount) < 1000
    factor = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert abs(float(amount) * factor - count) <= 0.0501 * factor


def test_the_ends_of_an_interval_are_numbers_in_files() -> None:
    table = Table([Column("x", "x", ends, words=True, ends=True)], [[(0.5, 1.0)], [None]])
    assert to_csv(table) == "x_low,x_high\n0.5,1.0\n,"
    assert json.loads(to_json(table))[0] == {"x_low": 0.5, "x_high": 1.0}
    assert table.text() == [["50.0-100.0"], [""]]
