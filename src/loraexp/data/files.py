"""Read people's own files of texts, whole or in chunks, and say which row is at fault."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from loraexp.errors import UserError

SPLITS = ("train", "validation", "test")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
KINDS = ".csv, .tsv, .jsonl, .parquet"


def read_labelled(path: Path, text_column: str, label_column: str) -> pd.DataFrame:
    """Columns text and label of a file; of a folder as `prepare` writes it, also split.

    Raises:
        UserError: no file, not UTF-8, no rows, a missing column, an empty text or label (by row).
    """
    if path.is_dir():
        parts = []
        for split in SPLITS:
            part = read_labelled(path / f"{split}.csv", text_column, label_column)
            parts.append(part.assign(split=split))
        return pd.concat(parts, ignore_index=True)
    chunks = list(read_chunks(path, [text_column, label_column]))
    frame = pd.concat(chunks, ignore_index=True) if chunks else pd.DataFrame()
    if frame.empty:
        raise UserError(f"{path} has no rows")
    frame = frame.rename(columns={text_column: "text", label_column: "label"})
    for column, name in (("text", text_column), ("label", label_column)):
        empty = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
        if empty.any():
            raise UserError(f"{path}, row {int(empty.idxmax()) + 1}: {name} is empty")
    return frame[["text", "label"]].astype(str)


def read_chunks(path: Path, columns: list[str], rows: int = 4096) -> Iterator[pd.DataFrame]:
    """The named columns as text, `rows` rows at a time; a .txt file has one column, a text a line."""
    if not path.is_file():
        raise UserError(f"no file {path}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    kind = path.suffix.lower()
    try:
        if kind in SEPARATORS:
            chunks = read_separated(path, columns, rows)
        elif kind in (".jsonl", ".ndjson"):
            chunks = read_jsonl(path, columns, rows)
        elif kind == ".parquet":
            chunks = read_parquet(path, columns, rows)
        elif kind == ".txt" and len(columns) == 1:
            chunks = read_lines(path, columns[0], rows)
        else:
            raise UserError(
                f"{path}: cannot read {kind or 'a file without an ending'}; known: {KINDS}"
            )
        yield from chunks
    except UnicodeDecodeError:
        raise UserError(
            f"{path}, {not_utf8(path)}: not UTF-8; save it as UTF-8 and retry"
        ) from None


def read_separated(path: Path, columns: list[str], rows: int) -> Iterator[pd.DataFrame]:
    reader = dict(sep=SEPARATORS[path.suffix.lower()], dtype=str, keep_default_na=False)
    try:
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig", **reader)
        check_columns(path, list(header.columns), columns)
        with pd.read_csv(
            path, usecols=columns, chunksize=rows, encoding="utf-8-sig", **reader
        ) as chunks:
            yield from chunks
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path}: {str(error).strip()}") from None


def read_jsonl(path: Path, columns: list[str], rows: int) -> Iterator[pd.DataFrame]:
    found: list[list[str]] = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}, row {number}: no valid JSON ({error})") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}, row {number}: not a JSON object")
            missing = [column for column in columns if row.get(column) is None]
            if missing:
                raise UserError(f"{path}, row {number}: no {missing[0]!r}; it has {', '.join(row)}")
            found.append([str(row[column]) for column in columns])
            if len(found) == rows:
                yield pd.DataFrame(found, columns=columns)
                found = []
    if found:
        yield pd.DataFrame(found, columns=columns)


def read_parquet(path: Path, columns: list[str], rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            check_columns(path, file.schema_arrow.names, columns)
            for batch in file.iter_batches(rows, columns=columns):
                yield batch.to_pandas()[columns]
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: {error}") from None


def read_lines(path: Path, column: str, rows: int) -> Iterator[pd.DataFrame]:
    found: list[str] = []
    with path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            found.append(line.rstrip("\r\n"))
            if len(found) == rows:
                yield pd.DataFrame({column: found})
                found = []
    if found:
        yield pd.DataFrame({column: found})


def check_columns(path: Path, there: list[str], wanted: list[str]) -> None:
    for column in wanted:
        if column not in there:
            raise UserError(f"{path} has no column {column!r}; it has {', '.join(map(str, there))}")


def not_utf8(path: Path) -> str:
    """Where a file stops being UTF-8, as a line number."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"line {number}, byte {error.start + 1}"
    return "somewhere"
