"""The answer of a comparison in one sentence, with its interval, for page and terminal."""

from collections.abc import Sequence
from dataclasses import replace

from loraexp.records.record import Failure, Record
from loraexp.results.arm_keys import SPLIT_KEYS, learnt_from, naming, settings_of_each
from loraexp.results.arms import Arm, arms
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.fairness import caveats
from loraexp.results.paired import Comparison, best, by_split, compare
from loraexp.results.sequential import at_looks
from loraexp.results.settings import spelled

MOST_NAMES, MOST_DATA = 4, 3  # more than these are counted


def answers(records: Sequence[Record], by: Sequence[str], beside: Beside = NOTHING) -> list[str]:
    """What a sweep comes to: a sentence for each set of test texts on which two arms or more were
    tested, and what no sentence tells."""
    if not records:
        return []
    configs = settings_of_each(records)
    by = naming(records, by, configs)
    every = arms(records, by, beside.trials, configs)
    compared = compare(every)
    if beside.looks:
        compared = at_looks(every, compared, beside.looks, None)
    return answers_of(every, by, compared, beside.failures)


def answers_of(
    every: Sequence[Arm],
    by: Sequence[str],
    compared: Sequence[Comparison | None],
    failures: Sequence[Failure],
    baseline: bool = False,
) -> list[str]:
    """The same of arms that have been compared, be it with a baseline."""
    against = {arm.name: one for arm, one in zip(every, compared, strict=True)}
    splits = by_split(every)
    said = []
    for group in splits.values():
        of_group = [against[arm.name] for arm in group]
        if len(group) > 1 and None in of_group:  # else the baseline is on other texts
            text = answer(*without_data(group, by), of_group, baseline) + doubt(group, by)
            said.append(f"{data_of(group[0], by)}: {text}" if len(splits) > 1 else text)
    if len(said) > MOST_DATA:
        said[MOST_DATA:] = [f"{len(said) - MOST_DATA} more such comparisons are in the table."]
    if said and (failed := len(failures)):
        said.append(f"{failed} {'job' if failed == 1 else 'jobs'} failed and cannot be compared.")
    return said


def doubt(group: Sequence[Arm], by: Sequence[str]) -> str:
    if all(len(arm.accuracies) == 1 for arm in group):  # the answer says so itself
        return ""
    return " Not evidence, for the reasons above." if caveats(group, by) else ""


def data_of(arm: Arm, by: Sequence[str]) -> str:
    """What tells its test texts from others."""
    own = [value if key in SPLIT_KEYS else None for key, value in zip(by, arm.name, strict=True)]
    return spelled(by, own) or "some texts"


def without_data(group: Sequence[Arm], by: Sequence[str]) -> tuple[list[Arm], list[str]]:
    """Arms of the same texts, and the keys that name them, but for those that tell the texts."""
    at = [place for place, key in enumerate(by) if key not in SPLIT_KEYS]
    named = [replace(arm, name=tuple(arm.name[place] for place in at)) for arm in group]
    return named, [by[place] for place in at]


def answer(
    found: Sequence[Arm],
    by: Sequence[str],
    against: Sequence[Comparison | None],
    baseline: bool = False,
) -> str:
    """Of arms that were tested on the same texts.

    Args:
        against: of each arm, as `compare` gives it.
        baseline: are they compared with one that was named, not with the best?
    """
    return judged(found, by, against, baseline) + astray(found, by)


def astray(found: Sequence[Arm], by: Sequence[str]) -> str:
    """Which rows have runs that learnt to tell nothing."""
    stuck = [arm for arm in found if arm.stuck]
    shown = [
        f"{arm.stuck} of {len(arm.accuracies)} {'seeds' if len(arm.accuracies) > 1 else 'seed'} of "
        f"{spelled(by, arm.name) or 'the row'}"
        for arm in stuck[:MOST_NAMES]
    ]
    if more := len(stuck) - len(shown):
        shown.append(f"some of {more} more rows")
    return f" All test texts get one label from {'; '.join(shown)}." if stuck else ""


def judged(
    found: Sequence[Arm],
    by: Sequence[str],
    against: Sequence[Comparison | None],
    baseline: bool,
) -> str:
    pairs = [*zip(found, against, strict=True)]
    first = next(arm for arm, one in pairs if one is None)
    if len(found) == 1:
        return f"{told(first)} of {first.n:,} test texts are labelled rightly{interval(first)}."
    name = spelled(by, first.name)
    if all(one is None or one.untested for _, one in pairs):
        return untested(found, by)
    worse = [arm for arm, one in pairs if one and one.significant and (one.difference or 0) <= 0]
    better = [arm for arm, one in pairs if one and one.significant and (one.difference or 0) > 0]
    tied = [arm for arm, one in pairs if one is None or (one.p is not None and not one.significant)]
    if len(tied) == len(found):
        low = smallest(tied)
        more = top(found, by, low)
        return f"No difference found; the smallest is {spelled(by, low.name)}: {score(low)}{more}."
    if baseline:
        parts = [
            f"{verb} {names(arms, by)}"
            for verb, arms in (
                ("better than it:", better),
                ("worse:", worse),
                ("not told apart from it:", [arm for arm in tied if arm is not first]),
            )
            if arms
        ]
        return f"The baseline, {name}, has {score(first)}; {'; '.join(parts)}."
    if len(tied) == 1:
        rest = "all others are worse by more than chance" if len(worse) == len(found) - 1 else ""
        return f"The best is {name}: {score(first)}{'; ' if rest else ''}{rest}."
    low, others = smallest(tied), [arm for arm in tied if arm is not first]
    size = "" if low is first else f"; the smallest of these is {spelled(by, low.name)}"
    alike = f"not told apart from it: {names(others, by)}{size}"
    return f"The best is {name}: {score(first)}; {alike}."


def untested(found: Sequence[Arm], by: Sequence[str]) -> str:
    """Single runs: the best of them is often a lucky one."""
    first = best(found)
    if len({arm.seeds.mean for arm in found}) == 1:
        low = smallest(found)
        lead = f"No difference found; the smallest is {spelled(by, low.name)}: {score(low)}"
        return f"{lead}; with one seed that may be chance."
    equal = [arm for arm in found if arm is not first and arm.seeds.mean == first.seeds.mean]
    name = spelled(by, first.name) + (f" (and as many with {names(equal, by)})" if equal else "")
    return f"Most are right with {name}: {score(first)}; with one seed that may be chance."


def smallest(found: Sequence[Arm]) -> Arm:
    """Trains the fewest parameters, on the fewest texts; of those whose every run learnt to tell
    something, where there are any."""
    return min(
        [arm for arm in found if not arm.stuck] or found,
        key=lambda arm: (arm.trainable, learnt_from(arm.chosen.records[0]), -arm.seeds.mean),
    )


def names(found: Sequence[Arm], by: Sequence[str]) -> str:
    shown = [spelled(by, arm.name) for arm in found[:MOST_NAMES]]
    more = [f"{len(found) - MOST_NAMES} more"] if len(found) > MOST_NAMES else []
    return "; ".join([*shown, *more])


def top(found: Sequence[Arm], by: Sequence[str], low: Arm) -> str:
    """The highest, where that is not the one that is named."""
    high = max(found, key=lambda arm: arm.seeds.mean)
    told_of = f"; the highest is {spelled(by, high.name)}, {told(high)}"
    return told_of if high.seeds.mean > low.seeds.mean else ""


def told(arm: Arm) -> str:
    return f"{arm.seeds.mean:.1%}"


def score(arm: Arm) -> str:
    return f"{told(arm)} of {arm.n:,} test texts{interval(arm)}"


def interval(arm: Arm) -> str:
    """Over the seeds; of one seed, or where all have the same, over the texts."""
    seeds = len(arm.accuracies)
    low, high = arm.seeds.ends or (0.0, 0.0)
    if high - low > 1e-9:
        return f" (95 % over {seeds} seeds: {low:.1%} to {high:.1%})"
    low, high = arm.texts.ends or (arm.seeds.mean, arm.seeds.mean)
    return f" (95 % over the texts: {low:.1%} to {high:.1%})"
