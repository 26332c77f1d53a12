"""What JSON is of an annotated type, and the quick way through lists of numbers."""

from typing import Annotated, Any

import pytest

from loraexp.records.typed_json import Within, checker, fits

Count = Annotated[int, Within(0, 10)]
ROWS = [[1, 2], [], [3, 10]]


@pytest.mark.parametrize("rows", [[], [[]], [[1]], ROWS])
def test_rows_of_numbers_fit(rows: Any) -> None:
    assert fits(rows, list[list[Count]])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (-1, ".2.1 is out of range"),
        (11, ".2.1 is out of range"),
        (True, ".2.1 is no int"),
        (1.0, ".2.1 is no int"),
        (None, ".2.1 is no int"),
        ([1], ".2.1 is no int"),
    ],
)
def test_a_wrong_one_among_them_is_named(wrong: Any, said: str) -> None:
    assert checker(list[list[Count]])([*ROWS[:2], [3, wrong]]) == said


@pytest.mark.parametrize("row", [3, "12", {"1": 2}, None, (1, 2)])
def test_a_row_that_is_no_list_is_named(row: Any) -> None:
    assert checker(list[list[Count]])([*ROWS, row]) == ".3 is no list"


def test_rows_of_rows_fit_as_well() -> None:
    assert fits([ROWS, ROWS], list[list[list[Count]]])
    assert checker(list[list[list[Count]]])([ROWS, [[0, 12]]]) == ".1.0.1 is out of range"
