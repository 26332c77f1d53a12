"""The record of a run: everything a table, a plot or a report may show, as one JSON file."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from loraexp.atomic import write_whole
from loraexp.errors import UserError

FILE = "record.json"
FORMAT = 1


@dataclass(frozen=True)
class Record:
    """One finished run.

    Args:
        name: the run's folder name.
        config: the resolved configuration.
        labels: class names; of two, the second is the positive one.
        data: note, synthetic, n (texts a split), repeats (texts seen in train), warnings.
        counts: trainable, total, percent, adapter_bytes.
        metrics: split -> n, loss, accuracy, f1, precision, recall, auroc, confusion.
        seconds: load, fit, evaluate, total.
        texts_per_second: training speed (None for a run of one step).
        peak_memory_bytes: of the process, or of the GPU where there is one.
        versions: of Python and the libraries that compute.
        hashes: sha256 of base, tokenizer, split, adapter.
    """

    name: str
    config: dict[str, Any]
    labels: list[str]
    data: dict[str, Any]
    counts: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    epochs: int
    best_epoch: int
    steps: int
    seconds: dict[str, float]
    texts_per_second: float | None
    peak_memory_bytes: int
    precision: str
    device: str
    versions: dict[str, str]
    git_commit: str | None
    hashes: dict[str, str]
    finished: str
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        write_whole(folder / FILE, json.dumps(asdict(self), indent=2, allow_nan=False) + "\n")


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises:
        UserError: no finished run there, or a record that cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        raise UserError(f"run={folder}: no finished run there ({FILE} is missing)")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {field.name for field in fields(Record)}
        if content["format"] != FORMAT or content.keys() != names:
            raise UserError(f"{file} is not of format {FORMAT}")
        return Record(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file} is damaged: {error}") from None


def is_finished(folder: Path) -> bool:
    """A record is written last, so a folder that has one is a finished run."""
    return (folder / FILE).is_file()


def read_records(folders: Iterable[Path]) -> list[Record]:
    return [read_record(folder) for folder in folders]
