"""What a comparison says beyond p: its power, how often an arm wins, whether seeds agree."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from loraexp.records.record import Record
from loraexp.results.arms import Arm
from loraexp.results.paired import Comparison, best, paired, references_of
from loraexp.results.tables import Cell, Column, Ends, percent
from loraexp.stats.power import Detectable, detectable
from loraexp.stats.significance import Interval
from loraexp.stats.superiority import (
    MEANINGFUL,
    Agreement,
    agreement_of,
    expected_best,
    expected_least,
    p_superior,
)


def share(value: float) -> str:
    return f"{value:.2f}"


def between(interval: Ends) -> str:
    return "-".join(map(share, interval))


COLUMNS = (
    Column("detectable", "80 % power", percent(1)),
    Column("superiority", "P(>)", share),
    Column("superiority_95", "95 % P(>)", between, words=True, ends=True),
    Column("agreement", "agree", percent(1)),
    Column("kappa", "kappa", share),
)


@dataclass(frozen=True)
class Beyond:
    """More columns of a comparison and their explanations; none where nothing may be said.

    Args:
        cells: by an arm's name.
        power: of the notes, those on what would have shown.
    """

    columns: Sequence[Column] = ()
    cells: Mapping[tuple[object, ...], Sequence[Cell]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    power: Sequence[str] = ()

    def and_also(
        self,
        columns: Sequence[Column],
        cells: Mapping[Any, Sequence[Cell]],
        notes: Sequence[str],
    ) -> "Beyond":
        """With more columns and notes behind its own."""
        wider = {name: [*self.cells.get(name, ()), *own] for name, own in cells.items()}
        columns, notes = [*self.columns, *columns], [*self.notes, *notes]
        return replace(self, columns=columns, cells=wider, notes=notes)


def beyond(
    found: Sequence[Arm], against: Sequence[Comparison | None], baseline: Arm | None
) -> Beyond:
    """Of two or more arms, some of which have two seeds or more.

    Args:
        against: of each arm, as `compare` gives it.
        baseline: what they were compared with, else the best of those on the same texts.
    """
    if len(found) < 2 or all(len(arm.accuracies) < 2 for arm in found):
        return Beyond()
    tests = sum(one is not None and one.p is not None for one in against)
    sizes: list[Detectable | None] = []
    wins: list[Interval | None] = []
    references = references_of(found, baseline)
    for arm, one, reference in zip(found, against, references, strict=True):
        pair = paired(arm, reference) if one is not None and one.p is not None else None
        several = pair is not None and len(pair[0]) > 1
        sizes.append(detectable(*pair, tests) if pair and several else None)
        wins.append(p_superior(*pair) if pair and several else None)
    alike = [agreement(arm.chosen.records) for arm in found]
    cells = {
        arm.name: cells_of(size, win, labels)
        for arm, size, win, labels in zip(found, sizes, wins, alike, strict=True)
    }
    name = "baseline" if baseline else "best"
    power = [*power_note([size for size in sizes if size])]
    notes = [
        *power,
        *superiority_note([win for win in wins if win], name),
        *agreement_note([one.share for one in alike if one.share is not None]),
        *tuning_note(baseline or best(found), name),
    ]
    return Beyond(COLUMNS, cells, notes, power)


def cells_of(size: Detectable | None, win: Interval | None, labels: Agreement) -> list[Cell]:
    ends = (win.low, win.high) if win and win.low is not None and win.high is not None else None
    return [
        size.difference if size else None,
        win.mean if win else None,
        ends,
        labels.share,
        labels.kappa,
    ]


def power_note(sizes: Sequence[Detectable]) -> Iterator[str]:
    known = [size.difference for size in sizes if size.difference is not None]
    if known:
        yield (
            f"Power: a difference of {span([100 * size for size in known], 1)} points would show "
            "with 80 % chance."
        )
    if undefined := len(sizes) - len(known):
        yield f"Power: of {undefined} of {len(sizes)} rows no difference would show."
    if sizes:
        limits = [size.limit for size in sizes]
        most = max(dict.fromkeys(limits), key=limits.count)
        yield f"More {most} would show smaller ones."


def superiority_note(wins: Sequence[Interval], reference: str) -> Iterator[str]:
    if not wins:
        return
    ordered = sorted(wins, key=lambda win: win.mean)
    ends = [f"{win.mean:.2f} ({between((win.low or 0.0, win.high or 0.0))})" for win in ordered]
    yield (
        f"P(>), to beat the {reference} with the same seed, ties half: "
        f"{' to '.join(dict.fromkeys((ends[0], ends[-1])))}."
    )
    yield (
        f"In brackets 95 %; meaningful if clear of 0.5 and reaching {MEANINGFUL}, or below "
        f"{1 - MEANINGFUL}."
    )


def agreement_note(shares: Sequence[float]) -> Iterator[str]:
    if shares:
        yield (
            f"Agreement: two seeds of a row label {span([100 * one for one in shares], 1)} % of "
            "the texts alike."
        )


def tuning_note(arm: Arm, reference: str) -> Iterator[str]:
    """What validation accuracy to expect of the reference had less been tried."""
    tried = [setting.validation[0] for setting in arm.settings]
    losses = [*arm.rates.values()] if arm.tried else []
    numbers = sorted({1, 2, arm.count})
    if arm.count < 2 or not all(map(math.isfinite, losses)):
        return
    if losses:
        curve = " or ".join(f"{expected_least(losses, n):.3f}" for n in numbers)
    else:
        curve = " or ".join(f"{100 * expected_best(tried, n):.1f}" for n in numbers)
    yield (
        f"Tuning: with {' or '.join(map(str, numbers))} settings tried, the {reference} would "
        f"reach {'a validation loss of ' if losses else ''}{curve}{'' if losses else ' in val'}."
    )


def span(values: Sequence[float], digits: int) -> str:
    """The least and the largest, or the one that both are."""
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values)))
    return " to ".join(ends)


def agreement(records: Sequence[Record]) -> Agreement:
    """Do runs label the same texts alike? By the predictions of all test texts, of which every
    record holds each.

    Args:
        records: of one arm; of a seed that is there twice the last counts.
    """
    records = [*{record.config["seed"]: record for record in records}.values()]
    labels = [record.predictions["test"]["predicted"] for record in records]
    if len(records) < 2:
        return Agreement(None, None, "one seed")
    tests = {record.hashes["split"] for record in records}
    if len(tests) > 1 or len({len(row) for row in labels}) > 1:
        return Agreement(None, None, "not tested on the same texts")
    return agreement_of(np.array(labels).T)
