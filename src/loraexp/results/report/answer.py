"""The answer of a comparison in one sentence, with its interval."""

from collections.abc import Sequence

from loraexp.results.arms import Arm, Comparison
from loraexp.results.settings import spelled

MOST_NAMES = 4


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
    pairs = [*zip(found, against, strict=True)]
    first = next(arm for arm, one in pairs if one is None)
    if len(found) == 1:
        return f"{told(first)} of {first.n:,} test texts are labelled rightly{interval(first)}."
    name = spelled(by, first.name)
    if all(one is None or one.untested for _, one in pairs):
        return untested(found, by, first)
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


def untested(found: Sequence[Arm], by: Sequence[str], first: Arm) -> str:
    """Single runs: the best of them is often a lucky one."""
    if len({arm.seeds.mean for arm in found}) == 1:
        low = smallest(found)
        return f"No difference found; the smallest is {spelled(by, low.name)}: {score(low)}."
    name = spelled(by, first.name)
    return f"Most are right with {name}: {score(first)}; with one seed that may be chance."


def smallest(found: Sequence[Arm]) -> Arm:
    return min(found, key=lambda arm: (arm.trainable, -arm.seeds.mean))


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
