"""The table of runs: a row each, with what it was told to do and what came of it."""

from collections.abc import Sequence

from loraexp.records.record import Failure, Record
from loraexp.results.key_columns import key_columns
from loraexp.results.outside import OutsideLine
from loraexp.results.settings import NO_RESULT, by_name, differs, flat, uses
from loraexp.results.tables import Cell, Column, Table, percent, size

RUN_COLUMNS = (
    Column("method", "method", words=True),
    Column("rank", "rank"),
    Column("alpha", "alpha", lambda alpha: f"{alpha:g}"),
    Column("targets", "targets", words=True),
    Column("trainable", "trainable"),
    Column("percent", "%", lambda value: f"{value:.2f}"),
    Column("adapter_bytes", "adapter", size),
    Column("train_accuracy", "train", percent(1)),
    Column("train_texts", "n"),
    Column("validation_accuracy", "val", percent(1)),
    Column("test_accuracy", "test", percent(1)),
    Column("test_f1", "F1", percent(1)),
    Column("seconds", "s", lambda seconds: f"{seconds:.0f}"),
)
METHOD_KEYS = ("method", "lora.rank", "lora.alpha", "lora.target_modules")  # of the first columns
# Settings that are in the columns above already, or that change no result.
SHOWN = (*METHOD_KEYS, *NO_RESULT)


def runs_table(outcomes: Sequence[Record | Failure], lines: Sequence[OutsideLine] = ()) -> Table:
    """One row a run, in the order given, then one a line; accuracies and F1 are shares of 1.

    Every other setting in which the runs differ gets a column of its own. A job that failed has
    its reason in place of figures.
    """
    configs = [flat(outcome.config) for outcome in outcomes]
    keys = [key for key in configs[0] if not key.startswith(SHOWN) and differs(key, configs)]
    varied = by_name(keys)
    extra = key_columns(varied, configs, RUN_COLUMNS, str)
    rows = [
        [*(config[key] for key in varied), *run_cells(outcome)]
        for config, outcome in zip(configs, outcomes, strict=True)
    ]
    columns = [*extra, *RUN_COLUMNS]
    rows += [[*[None] * len(extra), *line_cells(line)] for line in lines]
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        columns.append(Column("failed", "failed", words=True))
        reasons = [one.reason if isinstance(one, Failure) else None for one in outcomes]
        for row, reason in zip(rows, [*reasons, *[None] * len(lines)], strict=True):
            row.append(reason)
    return Table(columns, rows)


def run_cells(record: Record | Failure) -> list[Cell]:
    """The cells of RUN_COLUMNS."""
    config = flat(record.config)
    known = [
        config[key] if isinstance(record, Failure) or uses(record, key) else None
        for key in METHOD_KEYS
    ]
    if isinstance(record, Failure):
        return [*known, *[None] * (len(RUN_COLUMNS) - len(known))]
    metrics = record.metrics
    return [
        *known,
        record.counts["trainable"],
        record.counts["percent"],
        record.counts["adapter_bytes"],
        metrics["train"]["accuracy"],
        metrics["train"]["n"],
        metrics["validation"]["accuracy"],
        metrics["test"]["accuracy"],
        metrics["test"]["f1"],
        record.seconds["total"],
    ]


def line_cells(line: OutsideLine) -> list[Cell]:
    """The same of what needs no network."""
    shares = line.accuracies
    trained = [line.parameters, None, None, shares["train"], line.train_texts]
    scores = [shares["validation"], shares["test"], line.f1, line.seconds]
    return [line.name, None, None, None, *trained, *scores]
