"""The table that says which arm is better, by how much, and whether that is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loraexp.errors import UserError, unknown
from loraexp.records.record import Failure, Record
from loraexp.results.arm_keys import naming
from loraexp.results.arms import Arm, Comparison, arms, compare
from loraexp.results.beyond_p import beyond
from loraexp.results.fairness import caveats, repeats, runs
from loraexp.results.notes import failed_lines, score_notes
from loraexp.results.settings import conditions, flat, heading, is_typed
from loraexp.results.stats import Interval
from loraexp.results.tables import Cell, Column, Ends, Table, ends, narrowed, percent

# For a terminal; files have all.
BRIEF = (
    *("trainable", "seeds", "validation", "test", "deviation"),
    *("over_seeds", "over_texts", "p", "verdict"),
)
# Of these, what a narrow one has no room for.
EXPENDABLE = ("over_texts", "validation", "lr", "seeds", "deviation", "over_seeds")
# Columns whose largest value comes first when sorted by.
MORE_IS_BETTER = ("validation", "test", "difference")


def natural(part: Any) -> tuple[int, float, str]:
    """Numbers by value and before words, what is not there last."""
    if part is None:
        return (2, 0.0, "")
    if isinstance(part, tuple):
        part = part[0]
    number = isinstance(part, (int, float)) and not isinstance(part, bool)
    return (0, float(part), "") if number else (1, 0.0, str(part))


FIGURES = (
    Column("settings", "tried"),
    Column("lr", "lr", lambda lr: f"{lr:g}"),
    Column("trainable", "trainable"),
    Column("seeds", "seeds"),
    Column("validation", "val", percent(1)),
    Column("test", "test", percent(1)),
    Column("deviation", "sd", percent(1)),
    Column("over_seeds", "95 % seeds", ends, words=True, ends=True),
    Column("over_texts", "95 % texts", ends, words=True, ends=True),
    Column("difference", "diff", lambda value: f"{100 * value:+.1f}"),
    Column("p", "p", lambda p: "<0.001" if p < 0.001 else f"{p:.3f}"),
    Column("verdict", "verdict", words=True),
)


@dataclass(frozen=True)
class Findings:
    """A comparison and what must be read with it.

    Args:
        by: the keys that name its rows.
        table: one row an arm.
        notes: what the columns mean and, of a comparison that is no evidence, why.
    """

    by: Sequence[str]
    table: Table
    notes: Sequence[str]

    def brief(self, width: int | None = None) -> Table:
        """What fits a terminal."""
        wanted = [*self.by, *self.varied("lr"), *BRIEF]
        return narrowed(self.table.only(wanted), EXPENDABLE, width)

    def varied(self, name: str) -> list[str]:
        at = self.table.header.index(name)
        return [name] if len({row[at] for row in self.table.rows} - {None}) > 1 else []


def findings(
    records: Sequence[Record],
    by: Sequence[str],
    baseline: str | None = None,
    sort: str = "name",
    failures: Sequence[Failure] = (),
) -> Findings:
    """Compare the arms that `by` names with `baseline`, or with the best of them.

    Args:
        failures: jobs that left no record; an arm of which nothing else is there has an empty row.

    Raises:
        UserError: a key that no record has, a baseline that is not one arm, no such column.
    """
    by = naming(records, by)
    found = arms(records, by)
    reference = named(found, by, baseline) if baseline else None
    against = compare(found, reference)
    more = beyond(found, against, reference)
    columns = [*(Column(key, heading(key), words=True) for key in by), *FIGURES, *more.columns]
    rows = [
        [*row(arm, one, baseline), *more.cells.get(arm.name, ())]
        for arm, one in zip(found, against, strict=True)
    ]
    rows += [
        [*name, *[None] * (len(FIGURES) - 1), "failed", *[None] * len(more.columns)]
        for name in only_failed(failures, records, by, {arm.name for arm in found})
    ]
    rows.sort(key=sorting(sort, [column.name for column in columns], len(by)))
    told = [
        *notes(found, by, baseline, against, more.notes),
        *(f"{line}." for line in failed_lines(failures)),
    ]
    return Findings(by, Table(columns, rows), told)


def sorting(sort: str, names: Sequence[str], parts: int) -> Callable[[Sequence[Cell]], Any]:
    """The sort key of a row.

    Raises:
        UserError: no such column.
    """
    if sort == "name":
        return lambda cells: [natural(cell) for cell in cells[:parts]]
    if sort not in names:
        raise unknown("sort", sort, ["name", *names])
    at, sign = names.index(sort), -1 if sort in MORE_IS_BETTER else 1

    def key(cells: Sequence[Cell]) -> Any:
        kind, number, word = natural(cells[at])
        return kind, sign * number, word

    return key


def only_failed(
    failures: Sequence[Failure],
    records: Sequence[Record],
    by: Sequence[str],
    known: set[tuple[Any, ...]],
) -> list[tuple[Any, ...]]:
    """Names of arms that have no record at all."""
    without_rank = {r.config["method"] for r in records if not r.counts["adapted_modules"]}
    names = {}
    for failure in failures:
        config = flat(failure.config)
        bare = config["method"] in without_rank
        name = tuple(None if bare and key.startswith("lora.") else config.get(key) for key in by)
        # its split is not known: where rows are named by it, another arm's of the same name is its
        names[name] = all(
            any(a != b for key, a, b in zip(by, name, other, strict=True) if key != "split")
            for other in known
        )
    return [name for name, alone in names.items() if alone]


def row(arm: Arm, against: Comparison | None, baseline: str | None) -> list[Cell]:
    first, (accuracy, _) = arm.chosen.records[0], arm.chosen.validation
    return [
        *arm.name,
        len(arm.settings),
        arm.chosen.rate,
        first.counts["trainable"],
        len(arm.accuracies),
        accuracy,
        arm.seeds.mean,
        arm.deviation,
        ends_of(arm.seeds),
        ends_of(arm.texts),
        against.difference if against else None,
        against.p if against else None,
        verdict(against, baseline),
    ]


def ends_of(interval: Interval) -> Ends | None:
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)


def verdict(against: Comparison | None, baseline: str | None) -> str:
    if against is None:
        return "baseline" if baseline else "best"
    if against.untested:
        return against.untested
    if not against.significant:
        return "tied"
    return "better" if (against.difference or 0) > 0 else "worse"


def named(found: Sequence[Arm], by: Sequence[str], baseline: str) -> Arm:
    """The arm that `baseline` means: key=value, or several with commas."""
    try:
        wanted = conditions(baseline)
    except ValueError:
        raise UserError(f"baseline={baseline}: write key=value, e.g. method=full") from None
    fits = []
    for arm in found:
        name = dict(zip(by, arm.name, strict=True))
        if all(key in name and is_typed(name[key], typed) for key, typed in wanted):
            fits.append(arm)
    if len(fits) != 1:
        raise UserError(
            f"baseline={baseline} fits {len(fits)} rows; give one by its {' and '.join(by)}"
        )
    return fits[0]


def notes(
    found: Sequence[Arm],
    by: Sequence[str],
    baseline: str | None,
    against: Sequence[Comparison | None],
    beyond_p: Sequence[str],
) -> list[str]:
    sizes = sorted({arm.chosen.records[0].metrics["test"]["n"] for arm in found})
    lines = [f"n = {' or '.join(f'{n:,}' for n in sizes)} test texts; sd over seeds, in points."]
    if any(one is not None and one.p is not None for one in against):
        lines.append(
            "p: of the difference from the "
            f"{'baseline' if baseline else 'best'}, over seeds, over test texts and over both, "
            "paired; the largest; Holm-corrected. Tied: p of 0.05 or more."
        )
    lines += beyond_p
    if any(one is not None and one.untested == "one seed" for one in against):
        lines.append(
            "One seed: not tested, for the best of single runs is often a lucky one; name a "
            "baseline, or train more seeds."
        )
    if reasons := caveats(found, by):
        lines += ["Not evidence of which is better, because", *(f"- {r}" for r in reasons)]
    if seen := repeats(found):
        lines.append(f"Note: {seen}.")
    return [*lines, *score_notes([record for arm in found for record in runs(arm)])]
