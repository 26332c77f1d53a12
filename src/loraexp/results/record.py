"""The record of a run: everything a table, a plot or a report may show, as one JSON file."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from loraexp.atomic import write_whole
from loraexp.errors import UserError
from loraexp.results.typed_json import fits, found, hints_of
from loraexp.rules import completed

FILE, FAILED, SCORED = "record.json", "failed.json", "validation.json"
FORMAT = 2
F = TypeVar("F")


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
        predictions: split -> true and predicted, a class index a text, in the split's order.
        mistakes: wrong test texts, the most confident first: text, true, predicted, chance.
        seconds: load, fit, evaluate, total.
        texts_per_second: training speed (None for a run of one step).
        peak_memory_bytes: of the process, or of the GPU where there is one.
        versions: of Python and the libraries that compute.
        hashes: sha256 of base, tokenizer, data (older records lack it), split, adapter.
    """

    name: str
    config: dict[str, Any]
    labels: list[str]
    data: dict[str, Any]
    counts: dict[str, int | float]
    metrics: dict[str, dict[str, Any]]
    predictions: dict[str, dict[str, list[int]]]
    mistakes: list[dict[str, str | int | float]]
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
        write(self, folder / FILE)
        (folder / FAILED).unlink(missing_ok=True)


@dataclass(frozen=True)
class Failure:
    """One job of a sweep that did not end in a record; a later success removes it.

    Args:
        name: the run's folder name.
        config: the resolved configuration.
        reason: one line.
        finished: when, ISO 8601.
    """

    name: str
    config: dict[str, Any]
    reason: str
    finished: str
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        write(self, folder / FAILED)


@dataclass(frozen=True)
class Trial:
    """One job of a search: trained, and measured on the validation texts alone.

    Args:
        metrics: of the validation texts, as in a record.
    """

    name: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    finished: str
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        write(self, folder / SCORED)
        (folder / FAILED).unlink(missing_ok=True)


def by_loss(trial: Trial) -> float:
    """The validation loss, by which a search orders its trials."""
    loss = trial.metrics["loss"]
    return math.inf if loss is None else float(loss)


SPLITS = ("train", "validation", "test")
# What tables read of a record inside its top-level keys.
INSIDE: dict[str, Any] = {
    **dict.fromkeys(("config.method", "config.model.name", "config.data.name"), str),
    **dict.fromkeys(("config.seed", "config.lora.rank"), int),
    **dict.fromkeys(("config.optim.lr", "config.lora.alpha"), float),
    "config.lora.target_modules": str | list[str],
    "config.model.weights": str,
    "data.note": str,
    "data.synthetic": bool,
    "data.n": dict[str, int],
    **dict.fromkeys(("counts.trainable", "counts.adapter_bytes", "counts.adapted_modules"), int),
    "counts.percent": float,
    **{f"metrics.{split}.n": int for split in SPLITS},
    **{f"metrics.{split}.accuracy": float for split in SPLITS},
    **{f"metrics.{split}.{score}": float | None for split in SPLITS for score in ("f1", "loss")},
    **{f"metrics.{split}.confusion": list[list[int]] for split in SPLITS},
    "predictions.test.true": list[int],
    "predictions.test.predicted": list[int],
    "seconds.total": float,
}


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises:
        UserError: no finished run there, or a record that cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        raise UserError(f"run={folder}: no finished run there ({FILE} is missing)")
    return read(Record, file, INSIDE)


def read_file(file: Path) -> Record:
    """A record that was kept under another name.

    Raises:
        UserError: a file that is missing or damaged.
    """
    return read(Record, file, INSIDE)


def read_failure(folder: Path) -> Failure:
    """Why the job of `folder` failed.

    Raises:
        UserError: a file that is missing or damaged.
    """
    return read(Failure, folder / FAILED, {})


def read_trial(folder: Path) -> Trial:
    """The validation metrics of a search's job.

    Raises:
        UserError: a file that is missing or damaged.
    """
    return read(Trial, folder / SCORED, {"metrics.loss": float | None, "metrics.accuracy": float})


def is_scored(folder: Path) -> bool:
    return (folder / SCORED).is_file()


def is_finished(folder: Path) -> bool:
    """A record is written last, so a folder that has one is a finished run."""
    return (folder / FILE).is_file()


def is_failed(folder: Path) -> bool:
    return not is_finished(folder) and (folder / FAILED).is_file()


def read_records(folders: Iterable[Path]) -> list[Record]:
    return [read_record(folder) for folder in folders]


def write(content: Record | Failure | Trial, file: Path) -> None:
    write_whole(file, json.dumps(asdict(content), indent=2, allow_nan=False) + "\n")


def read(kind: type[F], file: Path, inside: Mapping[str, Any]) -> F:
    """A dataclass from its JSON file; a key or a type that is not as written is one clear line."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        hints = hints_of(kind)  # type: ignore[arg-type]
        if content["format"] != FORMAT or content.keys() != hints.keys():
            raise UserError(f"{file} is not of format {FORMAT}")
        for path, hint in {**hints, **inside}.items():
            if not fits(found(content, path), hint):
                wanted = hint.__name__ if isinstance(hint, type) else hint
                raise TypeError(f"{path} is no {wanted}")
        return kind(**content | {"config": completed(content["config"])})
    except KeyError as error:
        raise UserError(f"{file} is damaged: {error.args[0]} is missing") from None
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
