"""The table that says which arm is better, by how much, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loraexp.errors import UserError, unknown
from loraexp.results.arms import Arm, Comparison, arms, best, compare
from loraexp.results.fairness import doubts, repeats
from loraexp.results.record import Record
from loraexp.results.stats import Interval
from loraexp.results.tables import Cell, Column, Table, flat, heading, percent, short_targets

SORTS = {
    "name": lambda arm: tuple(natural(part) for part in arm.name),
    "test": lambda arm: -arm.seeds.mean,
    "trainable": lambda arm: arm.chosen.records[0].counts["trainable"],
}
# For a terminal of 80 columns; files have all.
BRIEF = ("trainable", "seeds", "validation", "test", "over_seeds", "over_texts", "p", "verdict")


def natural(part: Any) -> tuple[bool, float, str]:
    """Numbers by value and before words."""
    number = isinstance(part, (int, float)) and not isinstance(part, bool)
    return (False, float(part), "") if number else (True, 0.0, str(part))


def ends(interval: Interval) -> str | None:
    return (
        None
        if interval.low is None
        else f"{100 * interval.low:.1f}-{100 * (interval.high or 0):.1f}"
    )


FIGURES = (
    Column("settings", "tried"),
    Column("lr", "lr", lambda lr: f"{lr:g}"),
    Column("trainable", "trainable"),
    Column("seeds", "seeds"),
    Column("validation", "val", percent(1)),
    Column("test", "test", percent(1)),
    Column("deviation", "sd", percent(1)),
    Column("over_seeds", "95 % seeds", words=True),
    Column("over_texts", "95 % texts", words=True),
    Column("difference", "diff", lambda value: f"{100 * value:+.1f}"),
    Column("p", "p", lambda p: "<0.001" if p < 0.001 else f"{p:.3f}"),
    Column("verdict", "verdict", words=True),
)


@dataclass(frozen=True)
class Findings:
    """A comparison and what must be read with it.

    Args:
        table: one row an arm.
        notes: what the columns mean and, of a comparison that is no evidence, why.
    """

    table: Table
    notes: Sequence[str]

    def brief(self) -> Table:
        """What fits a terminal."""
        names = [column.name for column in self.table.columns]
        wanted = [*names[: names.index("settings")], *self.varied("lr"), *BRIEF]
        return self.table.only(wanted)

    def varied(self, name: str) -> list[str]:
        at = [column.name for column in self.table.columns].index(name)
        return [name] if len({row[at] for row in self.table.rows}) > 1 else []


def findings(
    records: Sequence[Record],
    by: Sequence[str],
    baseline: str | None = None,
    sort: str = "name",
) -> Findings:
    """Compare the arms that `by` names with `baseline`, or with the best of them.

    Raises:
        UserError: a key that no record has, or a baseline that is not one arm.
    """
    for key in by:
        known = flat(records[0].config)
        if key not in known:
            raise unknown("by", key, known)
    found = sorted(arms(records, by), key=SORTS[sort])
    reference = named(found, by, baseline) if baseline else best(found)
    against = compare(found, reference)
    rows = [row(arm, by, one, baseline) for arm, one in zip(found, against, strict=True)]
    columns = [Column(key, heading(key), words=True) for key in by]
    return Findings(Table([*columns, *FIGURES], rows), notes(found, by, baseline))


def row(
    arm: Arm, by: Sequence[str], against: Comparison | None, baseline: str | None
) -> list[Cell]:
    first, (accuracy, _) = arm.chosen.records[0], arm.chosen.validation
    return [
        *(
            short_targets(part) if "target" in key else part
            for key, part in zip(by, arm.name, strict=True)
        ),
        len(arm.settings),
        arm.chosen.rate,
        first.counts["trainable"],
        len(arm.accuracies),
        accuracy,
        arm.seeds.mean,
        arm.deviation,
        ends(arm.seeds),
        ends(arm.texts),
        against.difference if against else None,
        against.p if against else None,
        verdict(against, baseline),
    ]


def verdict(against: Comparison | None, baseline: str | None) -> str:
    if against is None:
        return "baseline" if baseline else "best"
    if against.p is None or against.difference is None:
        return "not paired"
    if not against.told_apart:
        return "tied"
    return "better" if against.difference > 0 else "worse"


def named(found: Sequence[Arm], by: Sequence[str], baseline: str) -> Arm:
    """The arm that `baseline` means: key=value, or several with commas."""
    wanted = dict(part.partition("=")[::2] for part in baseline.split(","))
    fits = [
        arm
        for arm in found
        if all(str(dict(zip(by, arm.name, strict=True)).get(k)) == v for k, v in wanted.items())
    ]
    if len(fits) != 1:
        raise UserError(
            f"baseline={baseline} fits {len(fits)} rows; give one by its {' and '.join(by)}"
        )
    return fits[0]


def notes(found: Sequence[Arm], by: Sequence[str], baseline: str | None) -> list[str]:
    lines = []
    if len(found) > 1:
        lines.append(
            "p: of the difference from the "
            f"{'baseline' if baseline else 'best'}, over seeds and over test texts, paired; the "
            "larger; Holm-corrected. Tied: p of 0.05 or more."
        )
        if reasons := doubts(found, by):
            lines += ["Not evidence of which is better, because", *(f"- {r}" for r in reasons)]
    if seen := repeats(found):
        lines.append(f"Note: {seen}.")
    return lines
