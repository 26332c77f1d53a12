"""Stage one of a tuned sweep: each arm looks for its learning rate, on validation texts alone and
with seeds that no final run has.

All arms begin with the same factors. An arm whose best lies at the edge of what it tried goes one
step further there, as a grid would that was made wider for it, until the best lies inside or it has
tried `most` of them. So every arm is offered the same budget, and none is told by a rate that
happened to suit another: the rate decides the order of methods more often than the method does
("Learning Rate Matters", arXiv 2602.04998). What is tuned on shares nothing with what is measured
(Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks", section 3).
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.config.sweep import Tune
from loraexp.records.record import by_loss
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.atomic import write_whole

FIRST_SEED = 10_000  # of the runs of stage one
FILE = "tuning.json"


def next_factors(
    losses: Mapping[float, float], start: Sequence[float], most: int
) -> Sequence[float]:
    """The factors that an arm tries next; none where its best lies inside what it tried, or where
    it has tried `most`.

    Args:
        losses: by factor, the mean validation loss; infinite where it did not train.
        start: those that every arm tries first, ascending.
    """
    if untried := [factor for factor in start if factor not in losses]:
        return untried
    tried = sorted(losses)
    at = tried.index(best_of(losses))
    if 0 < at < len(tried) - 1 or len(tried) >= most:
        return []
    return [beyond(tried[::-1] if at == 0 else tried)]


def best_of(losses: Mapping[float, float]) -> float:
    """The factor of the lowest loss; of equals the lowest factor."""
    return min(sorted(losses), key=lambda factor: losses[factor])


def beyond(tried: Sequence[float]) -> float:
    """The factor after the last: it goes on as the last two steps did, so that 0.3, 1, 3 is
    followed by 10 and 30; two factors by the same ratio."""
    before, middle, last = (tried[0] ** 2 / tried[1], *tried)[-3:]
    return float(f"{middle * (last / before):.6g}")


@dataclass(frozen=True)
class Tuning:
    """What is tried of each arm: pure but for its reading of the runs' folders.

    Args:
        arms: by what it is, the final runs of an arm, one a seed.
        start: the factors that are tried first, ascending.
    """

    rule: Tune
    arms: Mapping[str, Sequence[TrainConfig]]
    start: Sequence[float]

    @classmethod
    def of(cls, finals: Sequence[TrainConfig], rule: Tune, start: Collection[float]) -> "Tuning":
        return cls(rule, by_arm(finals), sorted(start))

    @property
    def seeds(self) -> list[int]:
        """Of the runs of stage one."""
        used = {config.seed for finals in self.arms.values() for config in finals}
        free = (seed for seed in range(FIRST_SEED, 2**32) if seed not in used)
        return [*islice(free, self.rule.seeds)]

    def trials(self, arm: str, factor: float) -> list[TrainConfig]:
        return [replace(at_factor(self.arms[arm][0], factor), seed=seed) for seed in self.seeds]

    def losses(self, arm: str, begun: Collection[Path]) -> dict[float, float]:
        """By factor, the mean validation loss of what this sweep has tried."""
        found: dict[float, float] = {}
        while factors := next_factors(found, self.start, self.rule.most):
            for factor in factors:
                runs = [RunFolder.of(trial) for trial in self.trials(arm, factor)]
                if not all(run.path.resolve() in begun for run in runs):
                    return found
                found[factor] = math.fsum(map(loss, runs)) / len(runs)
        return found

    def missing(self, begun: Collection[Path]) -> list[TrainConfig]:
        """The runs that are tried next, of all arms; none once every arm has its rate."""
        return [
            trial
            for arm in self.arms
            for factor in self.next(arm, begun)
            for trial in self.trials(arm, factor)
        ]

    def next(self, arm: str, begun: Collection[Path]) -> Sequence[float]:
        return next_factors(self.losses(arm, begun), self.start, self.rule.most)

    def finals(self, begun: Collection[Path]) -> list[TrainConfig]:
        """The final runs in their order, at the rate of their arm."""
        best = {arm: best_of(self.losses(arm, begun)) for arm in self.arms}
        return [
            at_factor(config, best[arm]) for arm, configs in self.arms.items() for config in configs
        ]

    def write(self, folder: Path, begun: Collection[Path]) -> None:
        """What was tried and what came of it, as a file of the sweep."""
        content = {
            "most": self.rule.most,
            "seeds": self.seeds,
            "start": self.start,
            "arms": [*self.told(begun)],
        }
        write_whole(folder / FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def told(self, begun: Collection[Path]) -> Iterator[dict[str, Any]]:
        for arm, configs in self.arms.items():
            losses = dict(sorted(self.losses(arm, begun).items()))
            yield {
                "config": plain(configs[0]),
                "tried": {f: None if math.isinf(x) else x for f, x in losses.items()},
                "chosen": (best := best_of(losses)),
                "inside": min(losses) < best < max(losses),
            }


def by_arm(configs: Sequence[TrainConfig]) -> dict[str, list[TrainConfig]]:
    """The runs of each arm, by what it is: all but the seed."""
    arms: dict[str, list[TrainConfig]] = {}
    for config in configs:
        arms.setdefault(repr(replace(config, seed=0)), []).append(config)
    return arms


def at_factor(config: TrainConfig, factor: float) -> TrainConfig:
    return replace(config, optim=replace(config.optim, lr_factor=factor))


def loss(run: RunFolder) -> float:
    return by_loss(run.trial()) if run.scored else math.inf
