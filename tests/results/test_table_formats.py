"""Each format of a table fits its reader, and no text in it acts there."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from loraexp.records.record import Record
from loraexp.results.runs_table import RUN_COLUMNS, runs_table
from loraexp.results.tables import (
    FORMATS,
    Column,
    Table,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)
from loraexp.runtime.escape import markdown_safe, printable, spreadsheet_safe

MakeRecord = Callable[..., Record]


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
        [printable(cell) for cell in row] for row in rows
    ]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for r in read for cell in r)


def test_csv_puts_an_apostrophe_before_a_formula_or_an_apostrophe_only() -> None:
    cells = ["=1+1", "a=b", "'tis"]
    assert next(csv.reader([to_csv(words(cells)).splitlines()[1]])) == ["'=1+1", "a=b", "''tis"]
    assert spreadsheet_safe("-1") == "'-1"
    assert spreadsheet_safe(-1) == -1
    assert spreadsheet_safe("\uff1dSUM(A1)").startswith("'")


def test_csv_has_no_bare_carriage_return_to_start_a_formula_after() -> None:
    assert to_csv(words(["x\r=1+1", "y"])) == "a,b\nx\\r=1+1,y"


SIGNS = "ab1 |\\`*_~#-+.)<>&[]!(){}$@:=\n\t\r\x1b\u202e\u2028"


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(SIGNS, max_size=8), min_size=3, max_size=3))
def test_markdown_reads_as_the_text_whatever_it_is(cells: list[str]) -> None:
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = reader.parse(to_markdown(words(cells, cells)))
    found = [token for token in tokens if token.type == "inline"][3:]
    wanted = [printable(cell).strip() for cell in cells]
    assert [plain_text(token) for token in found] == wanted * 2
    if wanted[0]:
        (_, alone, _) = reader.parse(markdown_safe(cells[0]))
        assert plain_text(alone) == wanted[0]


def plain_text(token: Token) -> str:
    """Of an inline token that formats nothing."""
    children = token.children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    return "".join(child.content for child in children)


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
    line = to_latex(words(["[5cm] *", "<0.001", "a|b"])).splitlines()[3]
    assert line == r"{[}5cm{]} {*} & \textless{}0.001 & a\textbar{}b \\"


def test_latex_has_a_column_a_letter(make_record: MakeRecord) -> None:
    first, heading, rule, row, last = to_latex(runs_table([make_record()])).splitlines()
    assert (first, rule, last) == (
        r"\begin{tabular}{lrrlrrrrrrrrr}",
        r"\hline",
        r"\end{tabular}",
    )
    for line in (heading, row):
        assert len(re.findall(r"(?<!\\)&", line)) == len(RUN_COLUMNS) - 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_without_rows_is_a_heading(name: str) -> None:
    assert FORMATS[name](Table([Column("x", "x")], [])).splitlines()
