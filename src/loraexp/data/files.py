"""Read people's own files of texts, whole or in chunks, and say which row is at fault."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pandas as pd

from loraexp.errors import UserError

SPLITS = ("train", "validation", "test")
# A row's number and its cells. Rows count from 1 below the header; in JSON lines and plain text the
# number is the line's.
Row = tuple[int, list[str]]


def read_labelled(path: Path, text_column: str, label_column: str) -> pd.DataFrame:
    """Columns text and label of a file; of a folder with a file for each split, also split.

    A folder may lack validation.csv, as many published sets do.

    Raises:
        UserError: no file, not UTF-8, no rows, a missing column, an empty text or label (by row).
    """
    if path.is_dir():
        parts = []
        for split in SPLITS:
            file = path / f"{split}.csv"
            if split == "validation" and not file.exists():
                continue
            parts.append(read_labelled(file, text_column, label_column).assign(split=split))
        return pd.concat(parts, ignore_index=True)
    chunks = list(read_chunks(path, [text_column, label_column]))
    if not chunks:
        raise UserError(f"{path} has no rows")
    frame = pd.concat(chunks)
    for column in (text_column, label_column):
        empty = frame[column].str.strip() == ""
        if empty.any():
            raise UserError(f"{path}, row {empty.idxmax()}: {column} is empty")
    return frame.set_axis(["text", "label"], axis="columns").reset_index(drop=True)


def read_chunks(path: Path, columns: list[str], rows: int = 4096) -> Iterator[pd.DataFrame]:
    """The named columns as text, at most `rows` rows at a time, under the rows' numbers.

    A .txt file has one column, a text a line.

    Raises:
        UserError: as read_labelled, and a row with too few or too many cells; texts may be empty.
    """
    if not path.is_file():
        raise UserError(f"no file {path}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    known = {kind: read for kind, read in READERS.items() if kind != ".txt" or len(columns) == 1}
    kind = path.suffix.lower()
    if kind not in known:
        there = kind or "a file without an ending"
        raise UserError(f"{path}: cannot read {there}; known: {', '.join(known)}")
    found = known[kind](path, columns)
    try:
        while some := list(islice(found, rows)):
            numbers, cells = zip(*some, strict=True)
            yield pd.DataFrame(cells, index=numbers, columns=columns)
    except UnicodeDecodeError:
        raise UserError(
            f"{path}, {not_utf8(path)}: not UTF-8; save it as UTF-8 and retry"
        ) from None


def read_separated(path: Path, columns: list[str]) -> Iterator[Row]:
    # Python's own reader: pandas drops a row's surplus cells unsaid where columns are chosen, so
    # a text with a bare comma would lose its tail and its label.
    csv.field_size_limit(2**31 - 1)  # a text may be longer than csv's 131,072 characters
    number = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(
            file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
        )
        try:
            header = next(lines, [])
            check_columns(path, header, columns)
            places = [header.index(column) for column in columns]
            for cells in filter(None, lines):
                number += 1
                if len(cells) != len(header):
                    raise UserError(
                        f"{path}, row {number}: cells {len(cells)}, in the header {len(header)}; "
                        "a text with a separator in it needs quotes around it"
                    )
                yield number, [cells[place] for place in places]
        except csv.Error as error:
            raise UserError(f"{path}, row {number + 1}: wrong quotes ({error})") from None


def read_jsonl(path: Path, columns: list[str]) -> Iterator[Row]:
    for number, [line] in read_lines(path, columns):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: no valid JSON ({str(error).replace('line 1 ', '')})"
            ) from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: not a JSON object")
        for column in columns:
            if column not in row:
                raise UserError(f"{where}: no {column!r}; it has {', '.join(row)}")
            if row[column] is None:
                raise UserError(f"{where}: {column} is null")
        cells = [row[column] for column in columns]
        cells = [cell if isinstance(cell, str) else json.dumps(cell) for cell in cells]
        # JSON can hold what no UTF-8 file can: half of a character, where a program cut an emoji.
        if half := re.search("[\ud800-\udfff]", "".join(cells)):
            raise UserError(f"{where}: {half[0]!a} is half a character")
        yield number, cells


def read_parquet(path: Path, columns: list[str]) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            check_columns(path, file.schema_arrow.names, columns)
            for batch in file.iter_batches(1024, columns=columns):
                texts = [batch.column(c).cast(pyarrow.string()).to_pylist() for c in columns]
                for cells in zip(*texts, strict=True):
                    number += 1
                    if None in cells:
                        column = columns[cells.index(None)]
                        raise UserError(f"{path}, row {number}: {column} is null")
                    yield number, list(cells)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from None


def read_lines(path: Path, columns: list[str]) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            yield number, [line.rstrip("\n")]


READERS: dict[str, Callable[[Path, list[str]], Iterator[Row]]] = {
    ".csv": read_separated,
    ".tsv": read_separated,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".txt": read_lines,
}


def check_columns(path: Path, there: list[str], wanted: list[str]) -> None:
    for column in wanted:
        if column not in there:
            raise UserError(f"{path} has no column {column!r}; it has {', '.join(there)}")


def not_utf8(path: Path) -> str:
    """Where a file stops being UTF-8, as a line number."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"line {number}, byte {error.start + 1}"
    return "somewhere"
