"""What a threshold refuses, of test texts in scope and of those of no class."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loraexp.records.record import Record
from loraexp.records.record_types import OUT_OF_SCOPE
from loraexp.results.tables import Cell, Column, Table, ends, percent
from loraexp.stats.significance import wilson_interval

COLUMNS = (
    Column("measure", "texts", words=True),
    Column("n", "n"),
    Column("rate", "%", percent(1)),
    Column("rate_95", "95 %", ends, words=True, ends=True),
)
# Of a record's counts: what is counted, and of how many texts.
COUNTED: dict[str, tuple[str, Callable[[Mapping[str, int]], tuple[int, int]]]] = {
    "oos_refused": (
        "of no class, refused",
        lambda own: (own["outside_refused"], own["outside"]),
    ),
    "in_scope_refused": ("in scope, refused", lambda own: (own["refused"], own["n"])),
    "in_scope_right": (
        "in scope, kept and right",
        lambda own: (own["right"], own["n"]),
    ),
    "accuracy_refusing": (
        "all, rightly refused or labelled",
        lambda own: (own["right"] + own["outside_refused"], own["n"] + own["outside"]),
    ),
}


def rate(name: str) -> Callable[[Record], float | None]:
    """One of COUNTED of a run, or its AUROC; None where it had no texts of no class."""

    def value(record: Record) -> float | None:
        own = record.metrics["test"].get(OUT_OF_SCOPE)
        if own is None or name == "oos_auroc":
            return own and float(own["auroc"])
        part, whole = COUNTED[name][1](own)
        return part / whole

    return value


def refusal_notes(records: Sequence[Record]) -> Iterator[str]:
    """What it comes to in a run; several have columns of a table."""
    known = [own for record in records if (own := record.metrics["test"].get(OUT_OF_SCOPE))]
    if len(known) == 1:
        own = known[0]
        yield (
            f"Of {own['outside']:,} texts of no class {own['outside_refused']:,} are refused, of "
            f"{own['n']:,} test texts in scope {own['refused']:,}, at a threshold that keeps 95 % "
            f"of the validation texts; AUROC {100 * own['auroc']:.1f}."
        )
    elif known:
        yield "Texts of no class: table columns=[oos_auroc,oos_refused,in_scope_refused]."


def refused(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Of the same texts under several runs, added up; of AUROC and threshold the means. Intervals
    are of another sample of as many texts; several runs on the same ones make these no more.

    Args:
        runs: metrics of test texts; the table is empty if one has none of texts of no class.
    """
    known = [own for metrics in runs if (own := metrics.get(OUT_OF_SCOPE))]
    if not known or len(known) < len(runs):
        return Table(COLUMNS, [])
    means = {name: sum(own[name] for own in known) / len(known) for name in ("threshold", "auroc")}
    texts = sum(own["n"] + own["outside"] for own in known)
    rows: list[list[Cell]] = [
        ["threshold of the largest probability", None, means["threshold"], None],
        ["AUROC, in scope against no class", texts, means["auroc"], None],
    ]
    for words, counted in COUNTED.values():
        parts, wholes = zip(*map(counted, known), strict=True)
        share, n = sum(parts) / sum(wholes), max(1, round(sum(wholes) / len(known)))
        rows.append([words, sum(wholes), share, wilson_interval(share, n).ends])
    return Table(COLUMNS, rows)
