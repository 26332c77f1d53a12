"""What is alike in all rows stands once above a table, and no empty column in it."""

import pytest

from loraexp.results.folded import folded
from loraexp.results.tables import Cell, Column, Table, percent, to_terminal

COLUMNS = [
    Column("method", "method", words=True),
    Column("test", "test", percent(1)),
    Column("seeds", "seeds"),
    Column("note", "note"),
]


def table(*rows: list[Cell]) -> Table:
    return Table(COLUMNS, rows)


def test_alike_columns_are_taken_out_as_they_are_shown() -> None:
    found = folded(table(["lora", 0.9, 3, None], ["full", 0.9, 3, None]))
    assert [(column.name, shown) for column, shown in found.alike] == [
        ("test", "90.0"),
        ("seeds", "3"),
    ]
    assert found.table.header == ["method"]
    assert [column.name for column in found.columns] == ["test", "seeds", "method"]


def test_what_is_kept_stays_and_one_row_folds_nothing() -> None:
    rows: list[list[Cell]] = [["lora", 0.9, 3, None], ["full", 0.9, 3, None]]
    assert folded(table(*rows), ["test"]).table.header == ["method", "test"]
    assert folded(table(rows[0])).table.header == ["method", "test", "seeds"]


def test_a_cell_that_is_empty_in_some_rows_is_not_alike() -> None:
    found = folded(table(["lora", 0.9, 3, ""], ["full", 0.8, None, "x"]))
    assert found.alike == []
    assert found.table.header == ["method", "test", "seeds", "note"]


@pytest.mark.parametrize("empty", [None, ""])
def test_a_terminal_has_no_empty_column_and_a_table_without_rows_has_all(empty: Cell) -> None:
    assert "note" not in to_terminal(table(["lora", 0.9, 3, empty]))
    assert "note" in to_terminal(table(["lora", 0.9, 3, 0]))
    assert table().filled().header == ["method", "test", "seeds", "note"]
