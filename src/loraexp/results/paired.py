"""Arms compared: each with one that was tested on the same texts, in pairs of seed and text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loraexp.results.arms import Arm
from loraexp.stats.crossed import p_of_difference
from loraexp.stats.significance import LEVEL, Correct, holm


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference.

    Args:
        difference: of mean test accuracy, over the seeds that both have; None without any.
        p: Holm-corrected over all arms compared; None where there was no test.
        untested: why there was none.
    """

    difference: float | None
    p: float | None
    untested: str | None = None

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < LEVEL

    @property
    def worse(self) -> bool:
        return (self.difference or 0) <= 0

    @property
    def verdict(self) -> str:
        if self.untested or not self.significant:
            return self.untested or "tied"
        return "worse" if self.worse else "better"


def compare(all_arms: Sequence[Arm], baseline: Arm | None = None) -> list[Comparison | None]:
    """Every arm against the baseline, else against the best of those tested on the same texts;
    None for these themselves."""
    groups, references = by_split(all_arms), references_of(all_arms, baseline)
    not_paired = Comparison(None, None, "not paired")
    comparisons: list[Comparison | None] = []
    tested: dict[int, float] = {}  # by place, p before it is corrected
    for place, (arm, reference) in enumerate(zip(all_arms, references, strict=True)):
        pair = paired(arm, reference)
        if arm is reference:
            lone = len(all_arms) > 1 and len(groups[arm.split]) == 1
            comparisons.append(not_paired if lone and not baseline else None)
        elif pair is None:
            comparisons.append(not_paired)
        else:
            # One seed each: a test over the texts alone names one of two that do not differ worse
            # in 9 to 14 of 100 sweeps, the best of single runs being a lucky draw as a rule.
            untested = "one seed" if len(pair[0]) == 1 else None
            difference = float(pair[0].mean() - pair[1].mean())
            comparisons.append(Comparison(difference, None, untested))
            if not untested:
                tested[place] = p_of_difference(*pair)
    for place, p in zip(tested, holm([*tested.values()]), strict=True):
        comparisons[place] = replace(comparisons[place], p=p)  # type: ignore[type-var]
    return comparisons


def by_split(all_arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """The arms that were tested on the same texts."""
    groups: dict[str, list[Arm]] = {}
    for arm in all_arms:
        groups.setdefault(arm.split, []).append(arm)
    return groups


def references_of(all_arms: Sequence[Arm], baseline: Arm | None) -> list[Arm]:
    """What each arm is compared with."""
    tops = {split: best(group) for split, group in by_split(all_arms).items()}
    return [baseline or tops[arm.split] for arm in all_arms]


def paired(arm: Arm, other: Arm) -> tuple[Correct, Correct] | None:
    """(seeds, texts) of both over the seeds they share; None without one, or on other texts."""
    shared = sorted(arm.correct.keys() & other.correct.keys())
    # Of one split trainer.limit_batches may leave some texts out.
    texts = {len(member.correct[seed]) for seed in shared for member in (arm, other)}
    if not shared or arm.split != other.split or len(texts) > 1:
        return None
    own, others = (np.stack([a.correct[seed] for seed in shared]) for a in (arm, other))
    return own, others


def best(all_arms: Sequence[Arm]) -> Arm:
    """By mean test accuracy; of equals, the one that trains fewer parameters."""
    return max(all_arms, key=lambda arm: (arm.seeds.mean, -arm.trainable))
