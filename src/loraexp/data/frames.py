"""A pandas DataFrame as a file of texts, so that a run of it is a run like any other: its name is
its content, and whoever reads the record can read the file."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from loraexp.data.files import check_columns
from loraexp.errors import UserError
from loraexp.runtime.atomic import write_whole

FRAMES = "frames"  # of the output folder


def kept(frame: pd.DataFrame, text: str, label: str, outputs: Path) -> Path:
    """Write the two columns of a frame as JSON lines, if they are not there yet; returns the file.

    What a cell may hold is decided by who reads the file, row by row.

    Raises:
        UserError: no frame, a column that it has not or twice, or a cell that JSON has no sign for.
    """
    if not isinstance(frame, pd.DataFrame):
        raise UserError(f"the texts must be a pandas DataFrame, got {type(frame).__name__}")
    columns = [*map(str, frame.columns)]
    check_columns(Path("the frame"), columns, [text, label])
    cells = (frame.iloc[:, columns.index(name)].tolist() for name in (text, label))
    rows = [{text: cell_of(t), label: cell_of(own)} for t, own in zip(*cells, strict=True)]
    try:
        content = "".join(f"{json.dumps(row)}\n" for row in rows)
    except TypeError as error:
        raise UserError(f"the frame: {error}; texts must be text, labels text or numbers") from None
    file = outputs / FRAMES / f"{sha256(content.encode()).hexdigest()[:16]}.jsonl"
    if not file.is_file():
        write_whole(file, content)
    return file


def cell_of(value: Any) -> Any:
    """null for all that pandas calls missing."""
    return None if value is None or value is pd.NA or value != value else value
