"""A table of arms whose seeds were added in looks: its p values are those of the looks."""

from collections.abc import Sequence
from dataclasses import replace

from loraexp.results.arms import Arm
from loraexp.results.paired import Comparison, references_of
from loraexp.stats.looks import Looks, decide


def at_looks(
    arms: Sequence[Arm], against: Sequence[Comparison | None], looks: Looks, baseline: Arm | None
) -> list[Comparison | None]:
    """The same comparisons with the p of the looks: corrected for all looks and all pairs."""
    names = {id(arm): str(at) for at, arm in enumerate(arms)}
    look = reached(arms, looks)
    if not look:
        return [*against]
    marks = {names[id(arm)]: arm.correct for arm in arms}
    decided = {frozenset(d.arms): d for d in decide(looks, look, marks)}
    found: list[Comparison | None] = []
    references = references_of(arms, baseline)
    for arm, one, reference in zip(arms, against, references, strict=True):
        pair = decided.get(frozenset({names[id(arm)], names[id(reference)]}))
        if one is None or one.untested or pair is None:
            found.append(one)
        else:
            found.append(replace(one, p=1.0 if pair.p is None else pair.p))
    return found


def reached(arms: Sequence[Arm], looks: Looks) -> int:
    """The last look that an arm has; 0 where one has other seeds than those of a look."""
    order = sorted({seed for arm in arms for seed in arm.accuracies})
    counts = [len(arm.accuracies) for arm in arms]
    known = all(
        count in looks.seeds and sorted(arm.accuracies) == order[:count]
        for arm, count in zip(arms, counts, strict=True)
    )
    return looks.seeds.index(max(counts)) + 1 if known else 0
