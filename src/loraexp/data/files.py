"""Read people's own files of texts, whole or in chunks, and say which row is at fault."""

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pandas as pd

from loraexp.data.cells import Unfit, arrow_cells, json_cell
from loraexp.data.reading import SEPARATED, Reading
from loraexp.data.split_files import check_whole, split_files
from loraexp.errors import UserError, cut, listed

# A row's number and its cells. Rows count from 1 below the header; in JSON lines and plain text the
# number is the line's.
Row = tuple[int, list[str]]


def read_labelled(
    path: Path, text_column: str, label_column: str, reading: Reading | None = None
) -> tuple[pd.DataFrame, str]:
    """Columns text and label of a file, and what is to be said of it: how many rows were read.

    Of a folder with a file for each split, also a column split; it may lack one for validation, as
    many published sets do.

    Raises:
        UserError: no file, another encoding, no rows, a missing column, an empty text or label, or
            one that is no text (by row).
    """
    reading = reading or Reading()
    if not os.path.isdir(path):  # Path's own raises on too long a name
        frame = read_file(path, text_column, label_column, reading)
        return frame, f"{len(frame):,} rows{caveats(frame, path, reading)}"
    files, others = split_files(path)
    check_whole(path, files, others)
    parts, sizes, doubted = [], [], ""
    for split, paths in files.items():
        frames = [read_file(file, text_column, label_column, reading) for file in paths]
        doubted = doubted or caveats(pd.concat(frames), paths[0], reading)
        parts += [frame.assign(split=split) for frame in frames]
        sizes.append(f"{' + '.join(file.name for file in paths)} {sum(map(len, frames)):,}")
    whole = pd.concat(parts, ignore_index=True)
    said = [f"{len(whole):,} rows ({listed(sizes)}){doubted}"]
    if "validation" not in files:
        said.append("no file for validation, so a tenth of the training texts is held out for it")
    if others:
        said.append(f"not read: {listed(others, 5)}")
    return whole, "; ".join(said)


def read_file(path: Path, text_column: str, label_column: str, reading: Reading) -> pd.DataFrame:
    chunks = list(read_chunks(path, [text_column, label_column], reading=reading))
    if not chunks:
        raise UserError(f"{path} has no rows")
    frame = pd.concat(chunks)
    for column in (text_column, label_column):
        empty = frame[column].str.strip() == ""
        if empty.any():
            raise UserError(f"{path}, row {empty.idxmax()}: {column} is empty")
    return frame.set_axis(["text", "label"], axis="columns").reset_index(drop=True)


def caveats(frame: pd.DataFrame, path: Path, reading: Reading) -> str:
    """A remark on texts that show that quotes should have been read in the other way."""
    if reading.quoting != "auto" or path.suffix.lower() not in SEPARATED:
        return ""
    if not reading.quotes(path):
        count = int(frame["text"].str.fullmatch(r'"(?:[^"]|"")*"').sum())
        remark = f"stand in quotes, kept as theirs ({reading.prefix}quoting=double: not)"
    else:
        mark, labels = reading.separator(path), {*frame["label"]}
        count = sum(
            any({line.partition(mark)[0], line.rpartition(mark)[2]} & labels for line in lines)
            for text in frame["text"]
            if "\n" in text
            for lines in [[line for line in text.splitlines() if mark in line]]
        )
        remark = f"hold whole rows: a bare quote? ({reading.prefix}quoting=none)"
    return f"; {count:,} texts {remark}" if count else ""


def read_chunks(
    path: Path, columns: list[str], rows: int = 4096, reading: Reading | None = None
) -> Iterator[pd.DataFrame]:
    """The named columns as text, at most `rows` rows at a time, under the rows' numbers.

    A .txt file has one column, a text a line.

    Args:
        columns: that of the text, then that of the label if there is one.

    Raises:
        UserError: as read_labelled, and a row with too few or too many cells; texts may be empty.
    """
    reading = reading or Reading()
    check_file(path)
    known = {kind: read for kind, read in READERS.items() if kind != ".txt" or len(columns) == 1}
    kind = path.suffix.lower()
    if kind not in known:
        there = cut(kind) or "a file without an ending"
        instead = f"{INSTEAD[kind]}; " if kind in INSTEAD else ""
        raise UserError(f"{path}: cannot read {there}; {instead}known: {', '.join(known)}")
    reading.check(kind, path)
    numbered = known[kind](path, columns, reading)
    try:
        while some := list(islice(numbered, rows)):
            numbers, cells = zip(*some, strict=True)
            check_characters(path, some)
            yield pd.DataFrame(cells, index=numbers, columns=columns)
    except UnicodeError:
        raise UserError(reading.undecodable(path)) from None


def check_characters(path: Path, rows: Sequence[Row]) -> None:
    """JSON can hold what no UTF-8 file can: half of a character, where a program cut an emoji."""
    try:
        "".join(chain.from_iterable(cells for _, cells in rows)).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        row = next(number for number, cells in rows if half in "".join(cells))
        raise UserError(f"{path}, row {row}: {half!a} is half a character") from None


def check_file(path: Path) -> None:
    if address := re.search(r"(?:^|/)((?:https?|ftp|s3|gs|hf)):/+(.*)", str(path)):
        shown = cut(f"{address[1]}://{address[2]}")
        raise UserError(f"{shown} is an address; download it and name the file")
    if not os.path.isfile(path):
        there = "is a folder" if os.path.isdir(path) else "is no regular file"
        lacks = f"no file {cut(str(path), 300)}"
        raise UserError(f"{path} {there}" if os.path.exists(path) else lacks)
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")


def read_separated(path: Path, columns: list[str], reading: Reading) -> Iterator[Row]:
    number = 0
    with reading.opened(path, newline="") as file:
        try:
            header, below = reading.table(file, path)
            check_columns(path, header, columns, reading.hint(header, columns))
            places = [header.index(column) for column in columns]
            for cells in below:
                if not cells and len(header) > 1:
                    continue  # a blank line is a row only where a row has one cell
                cells, number = cells or [""], number + 1
                if len(cells) != len(header):
                    first = "in the header" if reading.header else "in the first row"
                    raise UserError(
                        f"{path}, row {number}: cells {len(cells)}, {first} {len(header)}; "
                        f"{reading.about_quotes(path)}"
                    )
                yield number, [cells[place] for place in places]
        except csv.Error as error:
            raise UserError(
                f"{path}, row {number + 1}: wrong quotes ({error}); "
                f"{reading.prefix}quoting=none reads them as characters"
            ) from None


def read_jsonl(path: Path, columns: list[str], reading: Reading) -> Iterator[Row]:
    for number, [line] in read_lines(path, columns, reading):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        try:
            pairs = json.loads(line, object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: no valid JSON ({str(error).replace('line 1 ', '')})"
            ) from None
        if not isinstance(pairs, tuple):
            raise UserError(f"{where}: not a JSON object")
        keys, row = [key for key, _ in pairs], dict(pairs)
        for column in columns:
            if column not in row:
                raise UserError(f"{where}: no {cut(column)!r}; it has {listed(keys)}")
            if keys.count(column) > 1:
                raise UserError(f"{where}: {cut(column)!r} is given {keys.count(column)} times")
        cells: list[str] = []
        for column in columns:
            try:
                cells.append(json_cell(row[column], label=len(cells) > 0))
            except Unfit as error:
                raise UserError(f"{where}: {cut(column)} {error}") from None
        yield number, cells


def read_parquet(path: Path, columns: list[str], reading: Reading) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            check_columns(path, file.schema_arrow.names, columns)
            for batch in file.iter_batches(1024, columns=columns):
                texts: list[list[str]] = []
                for column in columns:
                    try:
                        texts.append(arrow_cells(batch.column(column), label=len(texts) > 0))
                    except Unfit as error:
                        row = number + error.index + 1
                        raise UserError(f"{path}, row {row}: {cut(column)} {error}") from None
                for cells in zip(*texts, strict=True):
                    number += 1
                    yield number, list(cells)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: {cut(str(error).splitlines()[0], 200)}") from None


def read_lines(path: Path, columns: list[str], reading: Reading) -> Iterator[Row]:
    with reading.opened(path) as lines:
        for number, line in enumerate(lines, 1):
            yield number, [line.rstrip("\n")]


READERS: dict[str, Callable[[Path, list[str], Reading], Iterator[Row]]] = {
    ".csv": read_separated,
    ".tsv": read_separated,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".txt": read_lines,
}


# What a file of another kind can be made into.
INSTEAD = {
    ".json": "write one object a line and call it .jsonl",
    ".xlsx": "save it as .csv",
    ".xls": "save it as .csv",
}


def check_columns(path: Path, there: Sequence[str], wanted: list[str], hint: str = "") -> None:
    for column in wanted:
        if column not in there:
            it_has = f"it has {listed(there)}{hint}"
            raise UserError(f"{path} has no column {cut(column)!r}; {it_has}")
        if there.count(column) > 1:
            times = there.count(column)
            raise UserError(f"{path} has {times} columns called {cut(column)!r}; rename one")
