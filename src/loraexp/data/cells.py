"""What a cell of JSON or Parquet may hold: a text is text, a label text or a number or a truth."""

import json
import math
from typing import Any

from loraexp.errors import cut

MUST_BE = {False: "must be text", True: "must be text, a finite number, true or false"}


class Unfit(Exception):
    """A cell that is neither: which one, counted from 0, and what it is."""

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index


def json_cell(value: Any, label: bool) -> str:
    """A JSON value as text; of a label in a list of one, its element.

    Args:
        value: with objects as tuples of pairs.

    Raises:
        Unfit: null, a list, an object, NaN, infinity; as a text also a number, true and false.
    """
    if label and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    if value is None:
        raise Unfit(0, "is null")
    if isinstance(value, (list, tuple)):
        kind = f"a list of {len(value)}" if isinstance(value, list) else "an object"
        raise Unfit(0, f"is {kind}, {MUST_BE[label]}")
    if not label or not math.isfinite(value):
        raise Unfit(0, f"is {cut(json.dumps(value), 20)}, {MUST_BE[label]}")
    return json.dumps(value)


def arrow_cells(column: Any, label: bool) -> list[str]:
    """The cells of a pyarrow.Array as texts; of labels in lists of one, their elements.

    Raises:
        Unfit: as json_cell, and columns of any other type.
    """
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind, types = column.type, pyarrow.types
    if column.null_count:
        raise Unfit(column.is_null().index(True).as_py(), "is null")
    if label and (types.is_list(kind) or types.is_large_list(kind)):
        for index, length in enumerate(pyarrow.compute.list_value_length(column).to_pylist()):
            if length != 1:
                raise Unfit(index, f"is a list of {length}, {MUST_BE[True]}")
        return arrow_cells(column.flatten(), label)
    bytes_or_text = kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view())
    bytes_or_text |= kind in (pyarrow.binary(), pyarrow.large_binary())
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if not (bytes_or_text or (label and (number or types.is_boolean(kind)))):
        raise Unfit(0, f"is {cut(str(kind))}, {MUST_BE[label]}")
    if types.is_floating(kind):
        finite = pyarrow.compute.is_finite(column)
        if (index := finite.index(False).as_py()) >= 0:
            raise Unfit(index, f"is {column[index].as_py()}, {MUST_BE[True]}")
    return column.cast(pyarrow.string()).to_pylist()
