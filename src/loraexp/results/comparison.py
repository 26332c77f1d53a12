"""The table that says which arm is better, by how much, and whether that is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loraexp.errors import UserError, unknown
from loraexp.records.record import Record
from loraexp.results.answer import answers_of
from loraexp.results.arm_keys import naming, settings_of_each
from loraexp.results.arms import Arm, arms
from loraexp.results.asked import asked
from loraexp.results.beside import NOTHING, Beside, only_failed
from loraexp.results.beyond_p import beyond
from loraexp.results.fairness import caveats, repeats, unlike_starts
from loraexp.results.how_compared import how
from loraexp.results.key_columns import key_columns
from loraexp.results.notes import failed_lines, score_notes
from loraexp.results.outside import how_lines, last_words, line_rows
from loraexp.results.paired import Comparison, by_split, compare
from loraexp.results.sequential import at_looks
from loraexp.results.settings import conditions, is_typed, natural
from loraexp.results.tables import (
    Cell,
    Column,
    Table,
    as_is,
    ends,
    narrowed,
    percent,
    to_terminal,
)
from loraexp.runtime.escape import printable
from loraexp.runtime.notebook import html_notes

if TYPE_CHECKING:
    import pandas as pd

# For a terminal; files have all.
BRIEF = (
    *("trainable", "seeds", "validation", "test", "deviation"),
    *("over_seeds", "over_texts", "p", "verdict"),
)
# Of these, what a narrow one has no room for.
EXPENDABLE = ("over_texts", "validation", "lr", "seeds", "deviation", "over_seeds")
# Columns whose largest value comes first when sorted by.
MORE_IS_BETTER = ("validation", "test", "difference")

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


@dataclass(frozen=True, repr=False)
class Findings:
    """A comparison and what must be read with it.

    Args:
        by: the keys that name its rows.
        arms: what is compared.
        against: of each arm, its comparison with the baseline or the best.
        table: one row an arm, and one for each of which every job failed.
        how: what was compared and how.
        reasons: why it is no evidence; none if it is.
        remarks: what must be known of the texts and the scores, and what failed.
        last: what no network does as well.
        answers: what it comes to, in a sentence or a few.
    """

    by: Sequence[str]
    arms: Sequence[Arm]
    against: Sequence[Comparison | None]
    table: Table
    how: Sequence[str]
    reasons: Sequence[str]
    remarks: Sequence[str]
    last: Sequence[str] = ()
    answers: Sequence[str] = ()

    @property
    def notes(self) -> list[str]:
        """All that must be read below the table."""
        because = ["Not evidence of which is better, because", *(f"- {r}" for r in self.reasons)]
        return [*self.how, *(because if self.reasons else ()), *self.remarks]

    def _repr_html_(self) -> str:
        return self.table._repr_html_() + html_notes([*self.notes, *self.answers])

    def __repr__(self) -> str:
        """As on a terminal."""
        notes = map(printable, [*self.notes, *self.answers])
        return "\n".join([to_terminal(self.brief()), "", *notes])

    def to_frame(self) -> "pd.DataFrame":
        """The table alone, as pandas has it."""
        return self.table.to_frame()

    def brief(self, width: int | None = None, also: Sequence[str] = ()) -> Table:
        """What fits a terminal, and the columns that somebody asked for."""
        tried = any(len(arm.rates) > 1 for arm in self.arms)
        rate = () if "optim.lr" in self.by else ["lr"] if tried else self.varied("lr")
        table = self.table.only([*self.by, *rate, *BRIEF, *also])
        seeds, texts = (table.header.index(name) for name in ("over_seeds", "over_texts"))
        only = any(row[texts] and not row[seeds] for row in table.rows)  # of no seed
        return narrowed(table, [*EXPENDABLE[1:], EXPENDABLE[0]] if only else EXPENDABLE, width)

    def varied(self, name: str) -> list[str]:
        at = self.table.header.index(name)
        return [name] if len({row[at] for row in self.table.rows} - {None}) > 1 else []


def findings(
    records: Sequence[Record],
    by: Sequence[str],
    baseline: str | None = None,
    sort: str = "name",
    beside: Beside = NOTHING,
    also: Sequence[str] = (),
) -> Findings:
    """Compare the arms that `by` names with `baseline`, or with the best of them.

    Args:
        beside: an arm of which nothing but failures is there has an empty row.
        also: columns that are there only where somebody asks for them (see asked.py).

    Raises:
        UserError: a key that no record has, a baseline that is not one arm, no such column.
    """
    configs = settings_of_each(records)
    by = naming(records, by, configs)
    compared = arms(records, by, beside.trials, configs)
    reference = named(compared, by, baseline) if baseline else None
    against = compare(compared, reference)
    if beside.looks:
        against = at_looks(compared, against, beside.looks, reference)
    more = beyond(compared, against, reference)
    known = [*by, *(column.name for column in (*FIGURES, *more.columns))]
    more = more.and_also(*asked(also, compared, beside, known))
    columns = [*key_columns(by, configs, FIGURES, as_is), *FIGURES, *more.columns]
    equal = () if baseline else equal_best(compared)
    rows = [
        [*row(arm, comparison, baseline, arm.name in equal), *more.cells.get(arm.name, ())]
        for arm, comparison in zip(compared, against, strict=True)
    ]
    rows += [
        [*name, *[None] * (len(FIGURES) - 1), "failed", *[None] * len(more.columns)]
        for name in only_failed(beside.failures, records, by, {arm.name for arm in compared})
    ]
    own = [*line_rows(compared, by, beside.lines, reference, len(more.columns))]
    order = sorting(sort, [column.name for column in columns], len(by))
    rows = [*sorted(rows, key=order), *own] if sort == "name" else sorted(rows + own, key=order)
    of_labels, *apart = score_notes([record for arm in compared for record in arm.records])
    return Findings(
        by,
        compared,
        against,
        Table(columns, rows),
        [
            *how(compared, baseline, against, more.notes, beside.looks),
            *how_lines(beside.lines, bool(baseline)),
            of_labels,
        ],
        caveats(compared, by, beside.looks),
        [
            *map(
                "Note: {}.".format, filter(None, [repeats(compared), unlike_starts(compared, by)])
            ),
            *apart,
            *map("{}.".format, failed_lines(beside.failures)),
        ],
        last_words(compared, beside.lines),
        answers_of(compared, by, against, beside.failures, baseline is not None),
    )


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
        kind, number, words = natural(cells[at])
        return kind, sign * number, words

    return key


def equal_best(compared: Sequence[Arm]) -> set[tuple[Any, ...]]:
    """Names of arms that share the highest score on the same texts: none of them is the best."""
    equal = set()
    for group in by_split(compared).values():
        top = max(arm.seeds.mean for arm in group)
        names = {arm.name for arm in group if arm.seeds.mean == top}
        equal |= names if len(names) > 1 else set()
    return equal


def row(arm: Arm, against: Comparison | None, baseline: str | None, equal: bool) -> list[Cell]:
    return [
        *arm.name,
        arm.count,
        arm.chosen.rate,
        arm.trainable,
        len(arm.accuracies),
        arm.chosen.validation[0],
        arm.seeds.mean,
        arm.deviation,
        arm.seeds.ends,
        arm.texts.ends,
        against.difference if against else None,
        against.p if against else None,
        "equal" if equal else against.verdict if against else "baseline" if baseline else "best",
    ]


def named(arms: Sequence[Arm], by: Sequence[str], baseline: str) -> Arm:
    """The arm that `baseline` means: key=value, or several with commas."""
    try:
        wanted = conditions(baseline)
    except ValueError:
        raise UserError(f"baseline={baseline}: write key=value, e.g. method=full") from None
    names = [dict(zip(by, arm.name, strict=True)) for arm in arms]
    fits = [
        arm
        for arm, name in zip(arms, names, strict=True)
        if all(key in name and is_typed(name[key], typed) for key, typed in wanted)
    ]
    if len(fits) != 1:
        raise UserError(
            f"baseline={baseline} fits {len(fits)} rows; give one by its {' and '.join(by)}"
        )
    return fits[0]
