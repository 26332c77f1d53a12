"""The record of a run: everything a table, a plot or a report may show, as one JSON file."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from loraexp.config.stored import NO_RUNS
from loraexp.errors import UserError
from loraexp.records.in_notebook import InNotebook
from loraexp.records.record_types import (
    Amount,
    Count,
    CountFacts,
    DataFacts,
    Mistake,
    Predictions,
    Scores,
    Seconds,
    ValidationScores,
    at_odds,
    checked,
)
from loraexp.records.typed_json import Within, check, hints_of, parsed, printed, value_at
from loraexp.runtime.atomic import json_hash, read_text, write_whole

FILE, FAILED = "record.json", "failed.json"
SCORED, TRIAL_FAILED = "validation.json", "validation-failed.json"
FORMAT, UNSEALED = 3, 2  # records of before have no seal
F = TypeVar("F")
Few = Annotated[int, Within(1, 9999)]


@dataclass(frozen=True)
class Record(InNotebook):
    """One finished run; in an annotation the last word is what a file of it must hold.

    Args:
        name: of the run's folder. labels: of classes; of two, the second is the positive one.
        config: the resolved configuration.
        data: note, synthetic, n (texts a split), repeats (texts seen in train), warnings; in newer
            ones train_classes (texts a class of train).
        counts: trainable, total, percent, adapter_bytes, adapted_modules, low_rank_modules.
        metrics: split -> n, loss, accuracy, f1, precision, recall, auroc, confusion, and, but in
            older records, ece, brier, reliability; of test, out_of_scope where data.out_of_scope
            names a label: what a threshold refuses.
        predictions: split -> true and predicted, a class index a text, in the split's order.
        mistakes: wrong test texts, the most confident first: text, true, predicted, chance.
        seconds: load, fit, evaluate, total. texts_per_second: in training, None for one step.
        peak_memory_bytes: of the process, or of the GPU where there is one.
        threads: that took part. pack: runs in step, seconds and memory are this one's share.
        versions: of Python and the libraries that compute.
        hashes: sha256 of base, tokenizer, data (older records lack it), split, adapter; of a run
            with data.per_class tested, the split that it would have without.
        seal: sha256 over all other fields, set as the file is written.
    """

    name: str
    config: dict[str, Any]
    labels: list[str]
    data: Annotated[dict[str, Any], DataFacts]
    counts: Annotated[dict[str, int | float], CountFacts]
    metrics: Annotated[dict[str, dict[str, Any]], dict[str, Scores]]
    predictions: Annotated[dict[str, dict[str, list[int]]], Predictions]
    mistakes: Annotated[list[dict[str, Any]], list[Mistake]]
    epochs: Count
    best_epoch: Count
    steps: Count
    seconds: Annotated[dict[str, float], Seconds]
    texts_per_second: Amount | None
    peak_memory_bytes: Count
    precision: str
    device: str
    versions: dict[str, str]
    git_commit: str | None
    hashes: dict[str, str]
    finished: str
    threads: Few | None = None  # other threads give other last bits; older records lack both
    pack: Few | None = None
    format: int = FORMAT
    seal: str = field(default="", compare=False)

    def write(self, folder: Path, new: bool = False) -> None:
        write(self, folder / FILE, new=new)
        for failure in (FAILED, TRIAL_FAILED):
            (folder / failure).unlink(missing_ok=True)


@dataclass(frozen=True)
class Failure:
    """One job of a sweep that did not end in a record; a later success removes it.

    Args:
        name: the run's folder name. config: the resolved configuration.
        reason: one line. finished: when, ISO 8601.
    """

    name: str
    config: dict[str, Any]
    reason: str
    finished: str
    format: int = FORMAT
    seal: str = field(default="", compare=False)

    def write(self, folder: Path, trial: bool = False) -> None:
        write(self, folder / (TRIAL_FAILED if trial else FAILED))


@dataclass(frozen=True)
class Trial:
    """One job of a search: trained, and measured on the validation texts alone.

    Args:
        metrics: of the validation texts, as in a record.
        hashes: sha256 of base, tokenizer, data, split (trials of before lack them).
    """

    name: str
    config: dict[str, Any]
    metrics: Annotated[dict[str, Any], ValidationScores]
    finished: str
    hashes: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT
    seal: str = field(default="", compare=False)

    def write(self, folder: Path) -> None:
        write(self, folder / SCORED)
        (folder / TRIAL_FAILED).unlink(missing_ok=True)


def by_loss(run: Trial | Record) -> float:
    """The validation loss, by which runs are ordered before test texts are read."""
    scores = run.metrics if isinstance(run, Trial) else run.metrics["validation"]
    return math.inf if scores["loss"] is None else float(scores["loss"])


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises:
        UserError: no finished run there, or a record that cannot be read.
    """
    if not is_finished(folder):
        raise UserError(f"run={folder}: no finished run there ({FILE} is missing)")
    return read(Record, folder / FILE)


def read_file(file: Path) -> Record:
    """A record that was kept under another name."""
    return read(Record, file)


def read_failure(folder: Path, trial: bool = False) -> Failure:
    """Why the job of `folder` failed, as a run or as a trial."""
    return read(Failure, folder / (TRIAL_FAILED if trial else FAILED))


def read_trial(folder: Path) -> Trial:
    """The validation metrics of a search's job."""
    return read(Trial, folder / SCORED)


def is_scored(folder: Path) -> bool:
    return os.path.lexists(folder / SCORED)


def is_finished(folder: Path) -> bool:
    """A record is written last, so a folder that has one is a finished run; what has its name and
    is no file is refused by whoever reads it."""
    return os.path.lexists(folder / FILE)


def is_failed(folder: Path) -> bool:
    return not is_finished(folder) and os.path.lexists(folder / FAILED)


def is_failed_trial(folder: Path) -> bool:
    return not is_scored(folder) and os.path.lexists(folder / TRIAL_FAILED)


def write(
    content: Record | Failure | Trial, file: Path, indent: int | None = 2, new: bool = False
) -> None:
    """Sealed, unless it is one of before that is kept elsewhere."""
    fields = asdict(content)
    del fields["seal"]
    if content.format != UNSEALED:
        fields["seal"] = json_hash(fields)
    write_whole(file, json.dumps(fields, indent=indent, allow_nan=False) + "\n", new)


def seal_holds(folder: Path) -> bool | None:
    """Is the record of `folder` as it was written? None of one that is older than seals.

    Raises:
        UserError: a file that is missing or damaged.
    """
    with damage(folder / FILE):
        content = fields_of(Record, folder / FILE)
        seal = content.pop("seal", None)
        return None if seal is None else seal == json_hash(content)


def read(kind: type[F], file: Path) -> F:
    """A dataclass from its JSON file.

    Raises:
        UserError: a file that is missing or damaged: the key or type that is not as written.
    """
    with damage(file):
        content = fields_of(kind, file)
        content["config"] = checked(content["config"])
        for wrong in at_odds(content):
            raise ValueError(wrong)
        for name in NO_RUNS:
            del content["config"][name]
    return kind(**content)


def fields_of(kind: Any, file: Path) -> dict[str, Any]:
    """What the file says, as it stands there: its fields are there and of the annotated types."""
    content = parsed(read_text(file.parent, file.name))
    if not isinstance(content, dict):
        raise TypeError("it is no dict")
    if value_at(content, "format") not in (UNSEALED, FORMAT):
        raise UserError(f"{file} is not of format {FORMAT}")
    late = {"threads", "pack"} - content.keys()
    if content["format"] == UNSEALED:
        late |= {"seal", "hashes"} if kind is Trial else {"seal"}
    hints = {name: hint for name, hint in hints_of(kind).items() if name not in late}
    check(content, hints)
    for name in content.keys() - hints.keys():
        raise ValueError(f"{printed(name)} is too much")
    return content


@contextmanager
def damage(file: Path) -> Iterator[None]:
    """What is wrong inside is one line that names the file."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"{file} is damaged: {error.args[0]} is missing") from None
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
