"""Which arm to take: the cheapest that is not told apart from the best, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loraexp.results.arms import Arm, Comparison, best, compare
from loraexp.results.fairness import caveats
from loraexp.results.settings import heading


@dataclass(frozen=True)
class Decision:
    """An arm, and the reasons for it in words."""

    arm: Arm
    lines: Sequence[str]


def decide(arms: Sequence[Arm], by: Sequence[str]) -> Decision:
    """The arm that trains the fewest parameters of those which the comparison with the best does
    not tell apart: no difference was shown, which is not that there is none."""
    top, compared = best(arms), compare(arms)
    pairs = [*zip(arms, compared, strict=True)]
    tied = [(arm, one) for arm, one in pairs if one is None or not one.significant]
    chosen, against = min(tied, key=lambda pair: (trainable(pair[0]), -pair[0].seeds.mean))
    lines = [f"Take {name(chosen, by)}: {scores(chosen)}; it trains {trainable(chosen):,}."]
    if against is not None:
        lines.append(
            f"It is not told apart from the best, {name(top, by)} ({scores(top)}; "
            f"{trainable(top):,} train): {chance(against)}."
        )
    else:
        lines.append("It is the best of them on the test texts.")
    for arm, one in pairs:
        if arm is not chosen and arm is not top and one is not None:
            verdict = "worse than the best" if one.significant else "not told from the best, dearer"
            lines.append(f"- {name(arm, by)}: {scores(arm)}; {verdict} ({chance(one)})")
    if reasons := caveats(arms, by):
        lines += ["Not evidence of which is better, because", *(f"- {r}" for r in reasons)]
    return Decision(chosen, lines)


def name(arm: Arm, by: Sequence[str]) -> str:
    """method=lora, rank=8; what an arm does not have is left out."""
    parts = zip(by, arm.name, strict=True)
    return ", ".join(f"{heading(key)}={shown(value)}" for key, value in parts if value is not None)


def shown(value: Any) -> str:
    return str(value)


def trainable(arm: Arm) -> int:
    return int(arm.chosen.records[0].counts["trainable"])


def scores(arm: Arm) -> str:
    mean, low, high = arm.seeds.mean, arm.seeds.low, arm.seeds.high
    interval = "" if low is None or high is None else f" (95 % over seeds: {low:.1%} to {high:.1%})"
    return f"{mean:.1%} of the test texts{interval}"


def chance(one: Comparison) -> str:
    return one.untested or f"p = {one.p:.3f}"
