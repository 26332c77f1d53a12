"""Columns of a comparison that are there only where somebody asks: `table columns=[...]`.

One more is a row of ASKED, and what it means a line in explained.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loraexp.errors import unknown
from loraexp.records.inspection import Inspection
from loraexp.records.record import Record
from loraexp.results.arms import Arm
from loraexp.results.beside import Beside
from loraexp.results.classes import macro_recall, rare_error
from loraexp.results.refused import rate
from loraexp.results.tables import Cell, Column, percent, size


@dataclass(frozen=True)
class Asked:
    """A column and its number of one run, None where the record has none; a row shows the mean over
    its seeds, and nothing where one of them lacks it."""

    column: Column
    of: Callable[[Record, Beside], float | None]


def inspected(
    of: Callable[[Inspection], float | None],
) -> Callable[[Record, Beside], float | None]:
    """Of what `inspect` measured."""

    def value(record: Record, beside: Beside) -> float | None:
        found = beside.inspection(record)
        return of(found) if found else None

    return value


def score(name: str) -> Callable[[Record, Beside], float | None]:
    """Of the test texts."""
    return lambda record, beside: record.metrics["test"].get(name)


def of_run(value: Callable[[Record], float | None]) -> Callable[[Record, Beside], float | None]:
    return lambda record, _: value(record)


def forgotten(one: Inspection) -> float | None:
    return one.forgetting.change if one.forgetting else None


INSPECTED = {
    one.column.name: one
    for one in (
        Asked(
            Column("forgetting", "forgets", lambda change: f"{change:+.4f}"), inspected(forgotten)
        ),
        Asked(
            Column("rank90", "rank 90 %", lambda rank: f"{rank:.1f}"),
            inspected(lambda one: one.rank90),
        ),
        Asked(Column("update", "size %", percent(1)), inspected(lambda one: one.update)),
        Asked(
            Column("intruders", "intruders", lambda count: f"{count:.1f}"),
            inspected(lambda one: one.intruders),
        ),
    )
}
REFUSED = {
    "oos_auroc": "OOS AUROC",
    "oos_refused": "OOS refused",
    "in_scope_refused": "refused",
    "in_scope_right": "kept, right",
    "accuracy_refusing": "with refusal",
}
ASKED = INSPECTED | {
    one.column.name: one
    for one in (
        Asked(Column("test_loss", "loss", lambda loss: f"{loss:.4f}"), score("loss")),
        Asked(Column("f1", "F1", percent(1)), score("f1")),
        Asked(Column("auroc", "AUROC", percent(1)), score("auroc")),
        Asked(Column("macro_recall", "macro recall", percent(1)), of_run(macro_recall)),
        Asked(Column("rare_error", "rare error", percent(1)), of_run(rare_error)),
        Asked(Column("ece", "ECE", percent(1)), score("ece")),
        *(
            Asked(Column(name, heading, percent(1)), of_run(rate(name)))
            for name, heading in REFUSED.items()
        ),
        Asked(Column("brier", "Brier", lambda score: f"{score:.3f}"), score("brier")),
        Asked(
            Column("fit_seconds", "s fit", lambda seconds: f"{seconds:.1f}"),
            lambda record, beside: record.seconds.get("fit"),
        ),
        Asked(
            Column("texts_per_second", "texts/s", lambda rate: f"{rate:.0f}"),
            lambda record, beside: record.texts_per_second,
        ),
        Asked(
            Column("peak_memory", "memory", lambda bytes: size(round(bytes))),
            lambda record, beside: record.peak_memory_bytes,
        ),
    )
}


def asked(
    names: Sequence[str], found: Sequence[Arm], beside: Beside, known: Sequence[str]
) -> tuple[list[Column], Mapping[tuple[object, ...], Sequence[Cell]], list[str]]:
    """The columns of these names, each arm's cells in them, and what must be said of these.

    Args:
        known: columns that are there unasked.

    Raises:
        UserError: no such column.
    """
    for name in names:
        if name not in ASKED and name not in known:
            raise unknown("columns", name, [*ASKED, *known])
    wanted = [ASKED[name] for name in dict.fromkeys(names) if name not in known]
    cells = {arm.name: [mean(one, arm, beside) for one in wanted] for arm in found}
    notes = [*inspection_notes(found, beside)] if INSPECTED.keys() & {*names} else []
    return [one.column for one in wanted], cells, notes


def inspection_notes(found: Sequence[Arm], beside: Beside) -> Iterator[str]:
    records = [record for arm in found for record in arm.chosen.records]
    known = [one for one in map(beside.inspection, records) if one]
    if lacking := len(records) - len(known):
        yield (
            f"{lacking} of {len(records)} runs were not inspected: `inspect` with the same runs= "
            "measures them."
        )
    if several_texts(found, beside):
        yield "Forgetting was measured on different texts: it cannot be compared."


def several_texts(found: Sequence[Arm], beside: Beside) -> bool:
    """Was forgetting measured on texts that are not the same?"""
    records = [record for arm in found for record in arm.chosen.records]
    known = [one.forgetting for one in map(beside.inspection, records) if one]
    return len({forgot.text for forgot in known if forgot}) > 1


def mean(one: Asked, arm: Arm, beside: Beside) -> float | None:
    values = [one.of(record, beside) for record in arm.chosen.records]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
