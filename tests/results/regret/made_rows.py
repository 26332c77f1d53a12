"""Runs as simulated curves give them: every arm's best rate and loss, and where it leaves the
common curve, are what the test says."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from loraexp.results.regret.rows import Arm, Row, Tried, arms_of

RATES = [5e-5 * 2**n for n in range(14)]
STEPS = range(1, 101)


def runs(
    arm: Arm,
    best: float,
    loss: float = 1.0,
    seeds: Sequence[int] = (0, 1, 2, 3),
    noise: float = 0.05,
    leaves: int | None = None,
    start: float = 0.0,
    trainable: int = 1000,
) -> Iterator[Row]:
    """A parabola over the log rate, lowest at `best` and there `loss`, moved a little by each seed.

    Args:
        leaves: the step from which its curve rises over the common one.
        start: by how much the whole curve is higher, as a share.
    """
    for seed in seeds:
        random = np.random.default_rng([seed, *arm_number(arm)])
        shift = noise * random.standard_normal()
        own = loss * (1 + 0.01 * noise * random.standard_normal())
        nearest = min(RATES, key=lambda rate: abs(math.log(rate / best)))
        at = RATES.index(nearest)
        for rate in RATES[max(0, at - 2) : at + 3]:
            away = math.log(rate / best) - shift
            yield Row(
                arm, rate, seed, own + 0.1 * away**2, trainable, [*STEPS], curve(leaves, start)
            )


def arm_number(arm: Arm) -> list[int]:
    return [len(arm.method), len(arm.targets), arm.rank, arm.batch]


def curve(leaves: int | None, start: float) -> list[float]:
    common = [4 * (1 + start) * step**-0.2 for step in STEPS]
    after = leaves or STEPS[-1]
    return [loss * (1.3 if step > after else 1.0) for step, loss in zip(STEPS, common, strict=True)]


def found(*some: Iterable[Row]) -> Mapping[Arm, Tried]:
    return arms_of(row for rows in some for row in rows)


def lora(rank: int, batch: int = 32, targets: str = "all") -> Arm:
    return Arm("lora", targets, rank, batch)


def full(batch: int = 32) -> Arm:
    return Arm("full", "all", 0, batch)
