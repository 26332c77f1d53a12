"""What came of a claim, and of which arms claims are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loraexp.results.regret.rows import Arm, Tried
from loraexp.stats.verdicts import Quantity, Verdict, verdict

Arms = Mapping[Arm, Tried]


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


def all_layers(arms: Arms) -> dict[int, Tried]:
    """Rank -> its runs at the usual batch size; 0 is full fine-tuning."""
    size = usual_batch(arms)
    return {arm.rank: tried for arm, tried in with_all_layers(arms).items() if arm.batch == size}


def usual_batch(arms: Arms) -> int:
    """The size that most ranks have; 0 without any."""
    sizes = [arm.batch for arm in with_all_layers(arms)]
    return max(sorted({*sizes}), key=sizes.count, default=0)


def with_all_layers(arms: Arms) -> dict[Arm, Tried]:
    return {
        arm: tried
        for arm, tried in arms.items()
        if arm.targets == "all" and arm.method in ("lora", "full")
    }


def log_rates(tried: Tried) -> dict[int, float]:
    return {seed: math.log(best.rate) for seed, best in tried.optima().items()}


def common_seeds(some: Sequence[Mapping[int, object]]) -> list[int]:
    return sorted(set.intersection(*({*one} for one in some))) if some else []
