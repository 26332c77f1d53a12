"""Six claims of "LoRA Without Regret" (Schulman et al. 2025, Thinking Machines), each with what is
compared and what would count as holding, which is said here, before anything is measured."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from loraexp.results.regret.curves import apart, curve_of, fall, leaving, lowest
from loraexp.results.regret.rows import Arm, Tried
from loraexp.stats.optimum import Optimum
from loraexp.stats.verdicts import Quantity, Verdict, verdict

TEN, ABOUT = 10.0, 2.0  # the ratio of rates, and up to which factor another is "about" that
RATE = 2.0  # by which best rates may differ between ranks
RANKS = 4  # the lowest rank whose best rate is said to be that of all
HIGH = 16  # ranks of which the best rate of LoRA is the mean: those that are "high"
SAME = 0.01  # losses no further apart are the same, as a share
LEARNT = 0.05  # by which share the loss must have fallen for curves to say something
PAYS = 0.05  # by how much the gap must grow, as a share of the loss
GROWS = 0.1  # powers of two of the step, a power of two of the rank

Arms = Mapping[Arm, Tried]
Best = Mapping[tuple[int, int], Mapping[int, Optimum]]  # rank, batch -> seed


@dataclass(frozen=True)
class Finding:
    """What came of a claim.

    Args:
        quantities: what is judged, none where it could not be measured.
        show: a value as a reader sees it.
        remark: what else a reader should know, and why nothing could be measured.
    """

    letter: str
    claim: str
    rule: str
    quantities: Sequence[Quantity]
    show: Callable[[float], str]
    remark: str = ""

    @property
    def verdict(self) -> Verdict:
        return verdict(self.quantities)


def times(value: float) -> str:
    return f"{math.exp(value):.2g} x"


def share(value: float) -> str:
    return f"{100 * value:+z.1f} %"


def power(value: float) -> str:
    return f"{value:.2f}"


def findings(arms: Arms) -> list[Finding]:
    """All six, in their order."""
    return [claim(arms) for claim in (ten_times, same_rate, same_start, layers, batches, capacity)]


def all_layers(arms: Arms) -> dict[int, Tried]:
    """Rank -> its runs at the batch size that has most ranks; 0 is full fine-tuning."""
    sizes = [arm.batch for arm in arms if arm.targets == "all"]
    size = max(sorted({*sizes}), key=sizes.count, default=0)
    return {arm.rank: t for arm, t in arms.items() if (arm.targets, arm.batch) == ("all", size)}


def with_all_layers(arms: Arms) -> dict[Arm, Tried]:
    return {arm: tried for arm, tried in arms.items() if arm.targets == "all"}


def log_rates(tried: Tried) -> dict[int, float]:
    return {seed: math.log(best.rate) for seed, best in tried.optima().items()}


def common_seeds(some: Sequence[Mapping[int, object]]) -> list[int]:
    return sorted(set.intersection(*({*one} for one in some))) if some else []


def ten_times(arms: Arms) -> Finding:
    """Section "Optimal learning rates for LoRA vs. FullFT"."""
    by_rank = all_layers(arms)
    full = log_rates(by_rank[0]) if 0 in by_rank else {}
    high = [log_rates(tried) for rank, tried in by_rank.items() if rank >= HIGH]
    values = [
        float(np.mean([one[seed] for one in high])) - full[seed]
        for seed in common_seeds([full, *high])
        if high
    ]
    low, most = math.log(TEN / ABOUT), math.log(TEN * ABOUT)
    name = f"best rate, ranks {HIGH}+ / full"
    return Finding(
        "a",
        "LoRA's best learning rate is about 10 times that of full fine-tuning",
        f"the ratio, LoRA's a geometric mean over ranks from {HIGH}, lies in {TEN / ABOUT:g} to "
        f"{TEN * ABOUT:g}",
        [Quantity(name, values, low, most)] if values else [],
        times,
    )


def same_rate(arms: Arms) -> Finding:
    """Section "LoRA rank"."""
    rates = {r: log_rates(tried) for r, tried in all_layers(arms).items() if r >= RANKS}
    seeds, most = common_seeds([*rates.values()]), math.log(RATE)
    quantities = [
        Quantity(
            f"best rate, rank {more} / {fewer}",
            [rates[more][seed] - rates[fewer][seed] for seed in seeds],
            -most,
            most,
        )
        for fewer, more in combinations(sorted(rates), 2)
        if seeds
    ]
    return Finding(
        "b",
        f"The best rate varies less than {RATE:g}-fold over ranks {RANKS} and more",
        f"the best rates of every two ranks differ by a factor below {RATE:g}",
        quantities,
        times,
    )


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
    return Finding("c", claim, rule, quantities if fell > LEARNT else [], share, remark)


def layers(arms: Arms) -> Finding:
    """Section "Layers Where LoRA Is Applied"."""
    found = {arm.targets: tried for arm, tried in arms.items() if arm.targets != "all"}
    quantities, remark = [], "an arm is missing"
    if {"attention", "mlp"} <= {*found}:
        sizes = {max(row.trainable for row in tried.rows) for tried in found.values()}
        attention, mlp = found["attention"].optima(), found["mlp"].optima()
        values = [
            math.log(attention[seed].loss / mlp[seed].loss)
            for seed in common_seeds([attention, mlp])
        ]
        remark = f"{max(sizes):,} parameters train in either" if len(sizes) == 1 else "sizes differ"
        if values and len(sizes) == 1:
            name = "loss, attention / MLP only"
            quantities = [Quantity(name, values, math.log1p(SAME), math.inf)]
    return Finding(
        "d",
        "Attention only is worse than MLP only, at equal parameters",
        f"its loss, each at its best rate, is higher by more than {share(SAME)[1:]}",
        quantities,
        lambda value: share(math.expm1(value)),
        remark,
    )


def batches(arms: Arms) -> Finding:
    """Section "Batch size effects"."""
    found = with_all_layers(arms)
    best = {(arm.rank, arm.batch): tried.optima() for arm, tried in found.items()}
    sizes = sorted({b for rank, b in best if rank == 0 and sum(k[1] == b for k in best) > 2})
    ranks = sorted({r for r, _ in best if r and all((r, size) in best for size in sizes)})
    quantities: list[Quantity] = []
    if len(sizes) > 1 and ranks:
        seeds = common_seeds([best[rank, size] for rank in (0, *ranks) for size in sizes])
        rises = {rank: [rise(best, rank, sizes, seed) for seed in seeds] for rank in ranks}
        if seeds:
            mean = np.mean([rises[rank] for rank in ranks], axis=0)
            name = f"growth, rank {' and '.join(map(str, ranks))}"
            quantities = [Quantity(name, mean.tolist(), PAYS, math.inf)]
            apart_ = np.subtract(rises[ranks[-1]], rises[ranks[0]]).tolist()
            name = f"growth, rank {ranks[-1]} less {ranks[0]}"
            quantities += [Quantity(name, apart_, -PAYS, PAYS)] * (len(ranks) > 1)
    return Finding(
        "e",
        "LoRA pays for large batches, whatever its rank",
        f"its gap to full fine-tuning grows by more than {share(PAYS)[1:]} of the loss, and by the "
        f"same within {share(PAYS)[1:]} at a low and at a high rank",
        quantities,
        share,
        f"batches of {', '.join(map(str, sizes))} texts" if quantities else "",
    )


def rise(best: Best, rank: int, sizes: Sequence[int], seed: int) -> float:
    """By how much LoRA's gap to full fine-tuning grows from the smallest batch to the largest,
    along a line over log batch; as a share of full fine-tuning's loss at the smallest."""
    gaps = [best[rank, size][seed].loss - best[0, size][seed].loss for size in sizes]
    slope = float(np.polyfit(np.log(sizes), gaps, 1)[0])
    return slope * math.log(sizes[-1] / sizes[0]) / best[0, sizes[0]][seed].loss


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
