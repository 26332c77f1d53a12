"""What is claimed of curves: c and f."""

import math

import numpy as np

from loraexp.results.regret.curves import apart, curve_of, leaving, lowest
from loraexp.results.regret.finding import (
    Arms,
    Finding,
    all_layers,
    common_seeds,
    power,
    times,
)
from loraexp.results.regret.rows import Tried
from loraexp.stats.verdicts import Quantity

ALIKE = 2.0  # times nearer than the control
GROWS = 0.1  # powers of two of the step, a power of two of the rank


def same_start(arms: Arms) -> Finding:
    """Section "Optimal learning rate and rank". How near is alike follows from a control: two ranks
    that train without the 1/r. Distances are compared, for differences have either sign."""
    by_rank = {rank: tried for rank, tried in all_layers(arms).items() if rank}
    highest, control = max(by_rank, default=0), controls(arms)
    claim = "Under alpha / r, curves begin alike whatever the rank"
    rule = (
        f"losses of the first fifth of the steps, at one rate, are {ALIKE:g} times nearer to each "
        "other than those of the control, two ranks under alpha / sqrt(r)"
    )
    if len(by_rank) < 2 or len(control) < 2:
        return Finding("c", claim, rule, [], times, "an arm is missing")
    common = by_rank.pop(highest)
    rate = common.best_rate
    far = distances(control[min(control)], control[max(control)], rate)
    quantities = []
    for rank, tried in by_rank.items():
        own = distances(tried, common, rate)
        values = [math.log(own[seed] / far[seed]) for seed in common_seeds([own, far])]
        if values:
            name = f"distance, rank {rank} to {highest}"
            quantities.append(Quantity(name, values, -math.inf, -math.log(ALIKE)))
    remark = f"at a rate of {rate:g}; the control is rank {min(control)} to {max(control)}"
    return Finding("c", claim, rule, quantities, times, remark)


def controls(arms: Arms) -> dict[int, Tried]:
    return {arm.rank: tried for arm, tried in arms.items() if arm.method == "rslora"}


def distances(tried: Tried, common: Tried, rate: float) -> dict[int, float]:
    """Seed -> how far apart their curves begin; without those that do not differ at all."""
    seeds = common_seeds([dict.fromkeys(tried.seeds), dict.fromkeys(common.seeds)])
    pairs = {seed: (curve_of(tried, rate, seed), curve_of(common, rate, seed)) for seed in seeds}
    found = {seed: apart(a[1], b[1]) for seed, (a, b) in pairs.items() if a and b}
    return {seed: distance for seed, distance in found.items() if distance}


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
        [Quantity("power of the rank", values, GROWS, math.inf)] if values else [],
        power,
        f"seeds in which a rank left: {said}",
    )
