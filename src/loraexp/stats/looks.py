"""Seeds that are added in looks declared beforehand: which arms are told apart, which need more.

A test that is repeated as seeds come in errs more often than it says, and so does a winner that is
picked from many. Both are paid for: by a group-sequential bound over the looks, and by Shaffer's
correction over all pairs of arms, for the best of them is chosen on the same scores.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loraexp.errors import UserError, unknown
from loraexp.stats.all_pairs import shaffer
from loraexp.stats.crossed import p_of_difference
from loraexp.stats.quadrature import legendre
from loraexp.stats.significance import LEVEL, Correct

Verdict = Literal["told apart", "go on", "out of the race", "stop: budget reached"]

# Wang and Tsiatis 1987; Jennison and Turnbull 2000, "Group Sequential Methods", sec. 2.7.1: |z| is
# compared with constant x t^(shape - 1/2), where t is the share of the last look's seeds.
SHAPES = {"obrien_fleming": 0.0, "wang_tsiatis": 0.25, "pocock": 0.5}
FAR = 9.0  # standard deviations; no mass is beyond
NODES = 96  # of the quadrature: errors are below 1e-11 for 20 looks


@dataclass(frozen=True)
class Looks:
    """When a sweep is looked at; to be declared before the first run.

    Args:
        seeds: how many every arm has at each look; rising, the first two or more.
        bound: obrien_fleming (early looks need overwhelming evidence, the last costs little),
            pocock (every look needs the same p) or wang_tsiatis, halfway: nearly all that the first
            finds, with nearly as few runs as the second (tests/benchmarks/results/looks.json).

    Raises:
        UserError: looks that do not rise, a bound that there is not.
    """

    seeds: tuple[int, ...]
    bound: str = "wang_tsiatis"

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in itertools.pairwise((1, *self.seeds)))
        if not self.seeds or not rising:
            raise UserError(f"seeds.looks must rise from 2 or more, got {[*self.seeds]}")
        if self.bound not in SHAPES:
            raise unknown("seeds.bound", self.bound, SHAPES)

    def in_words(self) -> str:
        """What a table of such a sweep must say."""
        counts = ", ".join(map(str, self.seeds))
        return (
            f"Seeds were added at looks declared beforehand ({counts}; bound {self.bound}): p is "
            "corrected for all looks and all pairs of rows."
        )

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """(looks,) shares of the last look's seeds: the information, if each seed tells as much."""
        return np.array(self.seeds) / self.seeds[-1]

    @cached_property
    def factors(self) -> NDArray[np.float64]:
        """(looks,) what the constant is multiplied by for the bound on |z|."""
        return self.times ** (SHAPES[self.bound] - 0.5)

    def constant(self, level: float = LEVEL) -> float:
        """That of the bounds which are crossed at any look in `level` of all sweeps without a
        difference (Jennison and Turnbull 2000, tables 2.1 and 2.3, for equal steps)."""
        from scipy.optimize import brentq

        return float(brentq(lambda c: crossing(self.times, c * self.factors) - level, 0.1, FAR))

    def nominal(self, level: float = LEVEL) -> list[float]:
        """What p of each look must be below, for one pair."""
        from scipy.stats import norm

        return [2 * float(norm.sf(z)) for z in self.constant(level) * self.factors]

    def corrected(self, look: int, p: float) -> float:
        """The level at which the bound lies just at a nominal p of this look, from 1.

        The significance level approach (Pocock 1977; Jennison and Turnbull 2000, sec. 4.4): p may
        be that of a t test, which has the fewness of seeds in it already. What is not exact then is
        how the looks depend on each other: where seeds alone vary, a single pair is told apart in
        5.3 (O'Brien and Fleming) to 5.6 % (Pocock; looks at 3, 5, 8 and 12 seeds) for 5 %.
        """
        from scipy.special import ndtri

        constant = -ndtri(p / 2) / self.factors[look - 1]
        return crossing(self.times, constant * self.factors)


def crossing(times: NDArray[np.float64], bounds: NDArray[np.float64]) -> float:
    """Chance that |z| is above its bound at any look, if there is no difference.

    z x sqrt(t) is a Brownian motion; its density inside the bounds is carried from look to look by
    quadrature (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, ch. 19).

    Args:
        times: (looks,) information, rising to 1.
        bounds: (looks,) on |z|.
    """
    nodes, weights = legendre(NODES)  # (N,), (N,)
    at, mass, before = np.zeros(1), np.ones(1), 0.0  # all paths begin at 0
    for t, bound in zip(times, bounds, strict=True):
        half, step = min(bound, FAR) * math.sqrt(t), math.sqrt(t - before)
        there = half * nodes  # (N,)
        z = (there[:, None] - at) / step  # (N, N before)
        density = np.exp(-z * z / 2) / (step * math.sqrt(2 * math.pi))
        at, mass, before = there, half * weights * (density @ mass), t
    return min(max(1.0 - float(mass.sum()), 0.0), 1.0)


@dataclass(frozen=True)
class Decision:
    """Of two arms at a look.

    Args:
        difference: of mean accuracy, one less other, over the seeds of both; None without any.
        p: corrected for all looks and all pairs, so that it may be compared with LEVEL; None
            before both have the seeds of a look.
        verdict: `out of the race` if one of the two is told worse than a third arm: whatever more
            seeds say of this pair, they do not say which arm is best.
    """

    one: str
    other: str
    difference: float | None
    p: float | None
    verdict: Verdict

    @property
    def arms(self) -> tuple[str, str]:
        return self.one, self.other

    @property
    def worse(self) -> str | None:
        """The arm that is told to be."""
        if self.verdict != "told apart":
            return None
        return self.one if (self.difference or 0.0) < 0 else self.other


def decide(
    looks: Looks, look: int, marks: Mapping[str, Mapping[int, Correct]]
) -> Sequence[Decision]:
    """Every pair of arms at a look.

    In at most 5 % of all sweeps without a difference any pair is told apart at any look, however
    the sweep goes on: p of a pair is the smallest that its looks so far gave, each corrected for
    all looks; then Shaffer's correction over all pairs.

    Args:
        look: from 1.
        marks: by arm, by seed: (texts,) which test texts were labelled rightly, the same texts in
            the same order. Seeds count in ascending order; those beyond the look are not read. A
            look that one arm lacks a seed of is no look for its pairs.

    Raises:
        UserError: a look that was not declared.
    """
    if not 1 <= look <= len(looks.seeds):
        raise UserError(f"look must be of 1 to {len(looks.seeds)}, got {look}")
    order = sorted({seed for of_arm in marks.values() for seed in of_arm})[: looks.seeds[look - 1]]
    pairs = [*itertools.combinations(marks, 2)]
    apart = [difference(marks[one], marks[other], order) for one, other in pairs]
    raw = [
        smallest(looks, [p_at(marks[a], marks[b], order[:n], n) for n in looks.seeds[:look]])
        for a, b in pairs
    ]
    ps = shaffer([1.0 if p is None else p for p in raw], len(marks))
    found = [
        Decision(one, other, gap, None if p is None else q, "told apart" if q < LEVEL else "go on")
        for (one, other), gap, p, q in zip(pairs, apart, raw, ps, strict=True)
    ]
    out = {decision.worse for decision in found}
    last = look == len(looks.seeds)
    return [
        decision
        if decision.verdict == "told apart"
        else replace(decision, verdict=open_verdict(last, not out.isdisjoint(decision.arms)))
        for decision in found
    ]


def open_verdict(last: bool, out: bool) -> Verdict:
    """Of a pair that is not told apart.

    Args:
        last: is this the last look?
        out: is one of the two told worse than a third?
    """
    if last:
        return "stop: budget reached"
    return "out of the race" if out else "go on"


def racing(decisions: Sequence[Decision]) -> list[str]:
    """The arms that need the next look's seeds: those of pairs that go on. None: the sweep ends."""
    pairs = (decision.arms for decision in decisions if decision.verdict == "go on")
    return [*dict.fromkeys(itertools.chain.from_iterable(pairs))]


def difference(
    one: Mapping[int, Correct], other: Mapping[int, Correct], seeds: Sequence[int]
) -> float | None:
    both = [float(np.mean(one[s]) - np.mean(other[s])) for s in seeds if s in one and s in other]
    return float(np.mean(both)) if both else None


def p_at(
    one: Mapping[int, Correct], other: Mapping[int, Correct], seeds: Sequence[int], n: int
) -> float | None:
    """p of the comparison over a look's n seeds, if both arms have them all."""
    if len(seeds) < n or not all(seed in one and seed in other for seed in seeds):
        return None
    return p_of_difference(*(np.stack([arm[seed] for seed in seeds]) for arm in (one, other)))


def smallest(looks: Looks, nominal: Sequence[float | None]) -> float | None:
    """Over the looks so far: below any level exactly if a bound of that level was crossed, so it
    stays what a p value is (Liu and Anderson 2008, "On adaptive extensions")."""
    found = [looks.corrected(at, p) for at, p in enumerate(nominal, 1) if p is not None]
    return min(found, default=None)
