"""What is claimed of arms at their best rates: a, b, d and e."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from loraexp.results.regret.finding import (
    Arms,
    Finding,
    all_layers,
    common_seeds,
    log_rates,
    share,
    times,
    with_all_layers,
)
from loraexp.stats.optimum import Optimum
from loraexp.stats.verdicts import Quantity

TEN, ABOUT = 10.0, 2.0  # the ratio of rates, and up to which factor another is "about" that
RATE = 2.0  # by which best rates may differ between ranks
RANKS = 4  # the lowest rank whose best rate is said to be that of all
HIGH = 16  # ranks of which the best rate of LoRA is the mean: those that are "high"
WORSE = 0.01  # by how much a loss must be higher, as a share
PAYS = 0.05  # by how much the gap must grow, as a share of the loss

Best = Mapping[tuple[int, int], Mapping[int, Optimum]]  # rank, batch -> seed


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
            quantities = [Quantity(name, values, math.log1p(WORSE), math.inf)]
    return Finding(
        "d",
        "Attention only is worse than MLP only, at equal parameters",
        f"its loss, each at its best rate, is higher by more than {share(WORSE)[1:]}",
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
            differ = np.subtract(rises[ranks[-1]], rises[ranks[0]]).tolist()
            name = f"growth, rank {ranks[-1]} less {ranks[0]}"
            quantities += [Quantity(name, differ, -PAYS, PAYS)] * (len(ranks) > 1)
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
