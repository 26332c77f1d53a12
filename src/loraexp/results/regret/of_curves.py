"""What is claimed of curves: c and f."""

import math

import numpy as np

from loraexp.results.regret.curves import apart, curve_of, fall, leaving, lowest
from loraexp.results.regret.finding import (
    SAME,
    Arms,
    Finding,
    all_layers,
    common_seeds,
    power,
    share,
)
from loraexp.stats.verdicts import Quantity

LEARNT = 0.05  # by which share the loss must have fallen for curves to say something
GROWS = 0.1  # powers of two of the step, a power of two of the rank


def same_start(arms: Arms) -> Finding:
    """Section "Optimal learning rate and rank"."""
    by_rank = {rank: tried for rank, tried in all_layers(arms).items() if rank}
    claim = "Under alpha / r, curves begin alike whatever the rank"
    rule = f"losses of the first fifth of the steps, at one rate, are within {share(SAME)[1:]}"
    if len(by_rank) < 2:
        return Finding("c", claim, rule, [], share, "fewer than two ranks")
    common = by_rank[max(by_rank)]
    rate = common.best_rate
    quantities, falls = [], []
    for rank, tried in by_rank.items():
        if tried is common:
            continue
        values = []
        for seed in common_seeds([dict.fromkeys(tried.seeds), dict.fromkeys(common.seeds)]):
            own, other = curve_of(tried, rate, seed), curve_of(common, rate, seed)
            if own and other:
                values.append(apart(own[1], other[1]))
                falls.append(fall(other[1]))
        if values:
            name = f"loss, rank {rank} / {max(by_rank)}"
            quantities.append(Quantity(name, values, -SAME, SAME))
    fell = float(np.mean(falls)) if falls else 0.0
    remark = f"at a rate of {rate:g}; meanwhile the loss fell by {100 * fell:.0f} %"
    remark += control(arms, rate)
    return Finding("c", claim, rule, quantities if fell > LEARNT else [], share, remark)


def control(arms: Arms, rate: float) -> str:
    """What is seen if the update is not alpha / r: would a difference show at all?"""
    ranks = {arm.rank: tried for arm, tried in arms.items() if arm.method == "rslora"}
    if len(ranks) < 2:
        return ""
    low, high = ranks[min(ranks)], ranks[max(ranks)]
    pairs = [(curve_of(low, rate, seed), curve_of(high, rate, seed)) for seed in low.seeds]
    values = [apart(own[1], other[1]) for own, other in pairs if own and other]
    if not values:
        return ""
    found = share(float(np.mean(values)))
    return f". Under alpha / sqrt(r), as a control: rank {min(ranks)} / {max(ranks)} {found}"


def capacity(arms: Arms) -> Finding:
    """Section "LoRA rank"."""
    by_rank = {rank: tried for rank, tried in all_layers(arms).items() if rank}
    rates = sorted(set.intersection(*({*t.rates} for t in by_rank.values())) if by_rank else ())
    values, left = [], list[int]()
    for seed in common_seeds([dict.fromkeys(t.seeds) for t in by_rank.values()]):
        curves = {r: one for r, t in by_rank.items() if (one := lowest(t, rates, seed))}
        if max(by_rank) not in curves or len(curves) < 3:
            continue
        steps, common = curves.pop(max(by_rank))
        found = {r: leaving(steps, losses, common) for r, (_, losses) in curves.items()}
        left += [rank for rank, step in found.items() if step]
        if any(found.values()):
            places = [math.log2(step or steps[-1]) for step in found.values()]
            values.append(float(np.polyfit(np.log2([*found]), places, 1)[0]))
    often = {rank: left.count(rank) for rank in sorted({*left})}
    said = ", ".join(f"rank {rank} in {n}" for rank, n in often.items()) or "none in any"
    return Finding(
        "f",
        "The smaller the rank, the earlier it leaves the common curve",
        f"the step at which a rank leaves grows by more than a power of {GROWS:g} of the rank",
        [Quantity("that power of the rank", values, GROWS, math.inf)] if values else [],
        power,
        f"seeds in which a rank left: {said}",
    )
