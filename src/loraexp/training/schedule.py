"""Learning-rate schedules: linear warm-up, then constant, linear or cosine."""

import math
from collections.abc import Callable

from loraexp.config.schema import Optim

SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


def warmup_steps(config: Optim, total: int) -> float:
    """Steps below the full rate: `optim.warmup` is a share of all steps or their number."""
    return config.warmup if config.warmup >= 1 else round(config.warmup * total)


def schedule(config: Optim, total: int) -> Callable[[int], float]:
    """Factor of `optim.lr` at each step 0 .. total - 1; step 0 already moves the weights."""
    warmup = warmup_steps(config, total)
    shape = SHAPES[config.schedule]

    def factor(step: int) -> float:
        if step < warmup:
            return config.lr_factor * (step + 1) / (warmup + 1)
        return config.lr_factor * shape(min(1.0, (step - warmup) / max(1, total - warmup)))

    return factor
