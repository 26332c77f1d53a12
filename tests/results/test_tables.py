"""Tables say what the records do: what runs differ in, and every digit, rounded where shown."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.records.record import Record
from loraexp.results.runs_table import RUN_COLUMNS, runs_table
from loraexp.results.tables import (
    Column,
    Table,
    ends,
    size,
    to_csv,
    to_json,
)

MakeRecord = Callable[..., Record]
CELLS = [0.9961722493171692, 300, 0.9865771532058716, 0.9733333587646484, 0.9723333587646484]


def test_a_row_is_what_the_record_says(make_record: MakeRecord) -> None:
    table = runs_table([make_record()])
    cells = ["lora", 8, 16.0, "q,k,v,out", 591_360, 0.4729700685703567, 2_365_440, *CELLS, 111.25]
    assert table.rows == [cells]
    assert table.header == [column.name for column in RUN_COLUMNS]


def test_shown_numbers_are_rounded(make_record: MakeRecord) -> None:
    settings, counts = ["lora", "8", "16", "q,k,v,out"], ["591,360", "0.47", "2.4 MB"]
    shown = [*settings, *counts, "99.6", "300", "98.7", "97.3", "97.2", "111"]
    assert runs_table([make_record()]).text() == [shown]


def test_a_method_without_a_branch_has_no_rank(make_record: MakeRecord) -> None:
    counts = make_record().counts | {"adapted_modules": 0}
    row = runs_table([make_record({"method": "head"}, counts=counts)]).rows[0]
    assert row[:4] == ["head", None, None, None]


def test_a_method_that_attaches_vectors_has_targets_and_no_rank(make_record: MakeRecord) -> None:
    counts = make_record().counts | {"low_rank_modules": 0}
    ia3 = make_record({"method": "ia3"}, counts=counts)
    rows = runs_table([make_record(), ia3]).rows
    assert [row[:4] for row in rows] == [
        ["lora", 8, 16.0, "q,k,v,out"],
        ["ia3", None, None, "q,k,v,out"],
    ]
    del counts["low_rank_modules"]  # a record of before is shown as it was
    assert runs_table([ia3]).rows[0][:4] == ["ia3", 8, 16.0, "q,k,v,out"]


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


def test_csv_keeps_numbers_as_they_are(make_record: MakeRecord) -> None:
    table = Table([Column("x", "x"), Column("y", "y"), Column("z", "z")], [[-0.1, None, 10**6]])
    assert to_csv(table) == "x,y,z\n-0.1,,1000000"
    row = dict(next(csv.DictReader(to_csv(runs_table([make_record()])).splitlines())))
    assert float(row["test_accuracy"]) == CELLS[3]


def test_json_keeps_types_and_every_digit(make_record: MakeRecord) -> None:
    table = runs_table([make_record({"seed": 0}), make_record({"seed": 1})])
    read = json.loads(to_json(table))
    assert [list(row.values()) for row in read] == table.rows
    assert [row["seed"] for row in read] == [0, 1]
    assert read[0]["test_accuracy"] == CELLS[3] != round(CELLS[3], 6)


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
