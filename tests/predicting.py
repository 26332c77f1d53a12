"""`loraexp predict` called from a test, and what it wrote read back."""

import csv
import io
import json
from pathlib import Path

from loraexp.commands import predict
from loraexp.commands.predict import PredictConfig

Row = tuple[str, float, str]


def run(finished: Path, **settings: object) -> None:
    predict.run(PredictConfig(run=str(finished), **settings))  # type: ignore[arg-type]


def csv_rows(written: str) -> list[Row]:
    header, *rows = csv.reader(io.StringIO(written, newline=""), strict=True)
    assert header == ["label", "probability", "text"]
    return [(label, float(chance), text) for label, chance, text in rows]


def json_rows(written: str) -> list[Row]:
    rows = [json.loads(line) for line in written.splitlines()]
    return [(row["label"], row["probability"], row["text"]) for row in rows]
