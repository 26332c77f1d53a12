"""Which arm to take: the cheapest that is not told apart from the best, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loraexp.results.arms import Arm
from loraexp.results.beyond_p import beyond
from loraexp.results.fairness import caveats
from loraexp.results.paired import Comparison, best, compare
from loraexp.results.settings import flat, uses


@dataclass(frozen=True)
class Decision:
    """An arm, and the reasons for it in words."""

    arm: Arm
    lines: Sequence[str]


def decide(arms: Sequence[Arm], by: Sequence[str]) -> Decision:
    """The arm that trains the fewest parameters of those which the comparison with the best does
    not tell apart: no difference was shown, which is not that there is none; so what would have
    shown is said beside it.

    Args:
        arms: tested on the same texts.
        by: the keys that name them.
    """
    compared = compare(arms)
    pairs = [*zip(arms, compared, strict=True)]
    tied = [(arm, one) for arm, one in pairs if one is None or not one.significant]
    chosen, against = min(tied, key=lambda pair: (pair[0].trainable, -pair[0].seeds.mean))
    lines = [*why(chosen, against, best(arms)), *others(chosen, pairs)]
    lines += beyond(arms, compared, None).power
    if reasons := caveats(arms, by):
        lines += ["Not evidence of which is better, because", *(f"- {r}" for r in reasons)]
    return Decision(chosen, lines)


def why(chosen: Arm, against: Comparison | None, top: Arm) -> Iterator[str]:
    yield f"Take {name(chosen)}: {scores(chosen)}."
    if against is None:
        yield f"It trains {chosen.trainable:,} parameters and is the best on the test texts."
    else:
        yield (
            f"It trains {chosen.trainable:,} parameters; the best, {name(top)}, {top.trainable:,}: "
            f"{scores(top)}, not told apart from it ({chance(against)})."
        )


def others(chosen: Arm, pairs: Sequence[tuple[Arm, Comparison | None]]) -> Iterator[str]:
    """What was tried and is not taken, the cheapest first."""
    for arm, one in sorted(pairs, key=lambda pair: pair[0].trainable):
        if arm is not chosen and one is not None:
            verdict = "worse than the best" if one.significant else "not told apart, and dearer"
            yield f"- not {name(arm)}: {scores(arm)}; {verdict} ({chance(one)})"


def name(arm: Arm) -> str:
    """lora, rank 8, on q,v; without what its method does not have."""
    record = arm.chosen.records[0]
    config = flat(record.config)
    words = [config["method"]]
    if uses(record, "lora.rank"):
        words.append(f"rank {config['lora.rank']}")
    if uses(record, "lora.target_modules"):
        words.append(f"on {config['lora.target_modules']}")
    return ", ".join(words)


def scores(arm: Arm) -> str:
    ends = arm.seeds.ends
    interval = f" (95 % over seeds: {ends[0]:.1%} to {ends[1]:.1%})" if ends else ""
    return f"{arm.seeds.mean:.1%} of {arm.n:,} test texts{interval}"


def chance(one: Comparison) -> str:
    return one.untested or f"p = {one.p:.3f}"
