"""Marks of sweeps whose truth is known: seeds, texts and arms vary, and an arm may be better."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from loraexp.stats.looks import Decision, Looks, decide, racing
from loraexp.stats.significance import Correct

Marks = dict[str, dict[int, Correct]]

# Standard deviations of the margin by which a text is labelled rightly, in units of its noise.
EASE, SEED, ARM_AND_SEED, ARM_AND_TEXT, NOISE = 1.8, 0.2, 0.15, 0.5, 0.8
MEAN = 3.5  # 95 % of the texts have a margin above zero


def made_marks(effects: Sequence[float], seeds: int, texts: int, rng: np.random.Generator) -> Marks:
    """By arm, by seed: (texts,) which texts are labelled rightly.

    Every arm sees the same texts and seeds, whose effects are crossed; which texts suit an arm, and
    which seeds, is chance. So there is no difference without an effect, but for texts and seeds
    that were drawn.

    Args:
        effects: by arm, what its margin has more.
    """
    arms = len(effects)
    ease = EASE * rng.standard_normal(texts)
    seed = SEED * rng.standard_normal((seeds, 1))
    of_seed = ARM_AND_SEED * rng.standard_normal((arms, seeds, 1))
    of_text = ARM_AND_TEXT * rng.standard_normal((arms, 1, texts))
    noise = NOISE * rng.standard_normal((arms, seeds, texts))
    right = MEAN + np.reshape(effects, (-1, 1, 1)) + ease + seed + of_seed + of_text + noise > 0
    return {f"arm {a}": dict(enumerate(right[a])) for a in range(arms)}


def accuracy(effect: float) -> float:
    """To expect of an arm, over all seeds and texts."""
    spread = math.hypot(EASE, SEED, ARM_AND_SEED, ARM_AND_TEXT, NOISE)
    return NormalDist().cdf((MEAN + effect) / spread)


def effect_of(size: float) -> float:
    """What makes an arm worse by `size` of accuracy."""
    spread = math.hypot(EASE, SEED, ARM_AND_SEED, ARM_AND_TEXT, NOISE)
    return NormalDist().inv_cdf(accuracy(0.0) - size) * spread - MEAN


def sweep(looks: Looks, marks: Marks, drop: bool = True) -> tuple[list[Decision], int]:
    """The decisions at the last look that is needed, and how many runs they took.

    Args:
        marks: of all seeds, in their order; a look sees no more than is trained by then.
        drop: do arms that are out of the race train no more seeds?
    """
    race, have = [*marks], dict.fromkeys(marks, 0)
    decisions: list[Decision] = []
    for look, seeds in enumerate(looks.seeds, 1):
        have |= dict.fromkeys(race if drop else marks, seeds)
        known = {arm: {s: marks[arm][s] for s in range(n)} for arm, n in have.items()}
        decisions = [*decide(looks, look, known)]
        if not (race := racing(decisions)):
            break
    return decisions, sum(have.values())
