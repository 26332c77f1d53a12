"""What was measured of the claims of "LoRA Without Regret": runs at many rates, and which rate is
an arm's best."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from loraexp.stats.optimum import Optimum, optimum


@dataclass(frozen=True, order=True)
class Arm:
    """What is compared, each at its own best rate.

    Args:
        method: lora, full, or rslora as a control.
        targets: all, attention or mlp.
        rank: of LoRA; 0 of full fine-tuning.
        batch: texts a step.
    """

    method: str
    targets: str
    rank: int
    batch: int


@dataclass(frozen=True)
class Row:
    """One run.

    Args:
        rate: learning rate.
        loss: of the validation texts at the end, nats a text; None of a run that diverged.
        trainable: parameters; 0 of one that diverged.
        steps, losses: the curve: optimizer steps, and the loss of that step's batch before it; no
            text came twice, so it is a loss of texts that were not seen before.
    """

    arm: Arm
    rate: float
    seed: int
    loss: float | None
    trainable: int
    steps: Sequence[int]
    losses: Sequence[float]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self.arm), **{k: v for k, v in asdict(self).items() if k != "arm"}}

    @staticmethod
    def of(stored: Mapping[str, Any]) -> "Row":
        """From what `as_dict` gave.

        Raises:
            KeyError, TypeError: fields that lack or are too much.
        """
        own = {**stored}
        arm = Arm(*(own.pop(name) for name in ("method", "targets", "rank", "batch")))
        return Row(arm, **own)


@dataclass(frozen=True)
class Tried:
    """The runs of an arm: every rate with every seed."""

    rows: Sequence[Row]

    @cached_property
    def losses(self) -> Mapping[float, Mapping[int, float]]:
        """Rate, rising -> seed -> validation loss; infinite where a run diverged."""
        found: dict[float, dict[int, float]] = defaultdict(dict)
        for row in sorted(self.rows, key=lambda row: (row.rate, row.seed)):
            found[row.rate][row.seed] = math.inf if row.loss is None else row.loss
        return found

    @property
    def rates(self) -> list[float]:
        return [*self.losses]

    @property
    def seeds(self) -> list[int]:
        """Those that every rate has."""
        return sorted(set.intersection(*({*seeds} for seeds in self.losses.values())))

    def means(self) -> list[float]:
        """Over the seeds, a rate."""
        return [math.fsum(s.values()) / len(s) for s in self.losses.values()]

    @property
    def best_rate(self) -> float:
        """Of those that were tried, by the mean over the seeds."""
        means = self.means()
        return self.rates[means.index(min(means))]

    def optima(self) -> dict[int, Optimum]:
        """Seed -> where its loss is lowest; without seeds whose best rate is at an end."""
        found = {
            seed: optimum(self.rates, [self.losses[rate][seed] for rate in self.rates])
            for seed in self.seeds
        }
        return {seed: one for seed, one in found.items() if one is not None}

    def lacking(self) -> list[float]:
        """Rates that have not been tried with every seed that another one has."""
        every = set.union(*({*seeds} for seeds in self.losses.values()))
        return [rate for rate, seeds in self.losses.items() if every - {*seeds}]

    def rate_beyond(self) -> float | None:
        """One more rate at the end where the mean, or a seed, is best: as far as the one before."""
        at_ends = [self.means(), *([self.losses[r][s] for r in self.rates] for s in self.seeds)]
        places = {losses.index(min(losses)) for losses in at_ends}
        if 0 in places:
            return float(f"{self.rates[0] ** 2 / self.rates[1]:.6g}")
        if len(self.rates) - 1 in places:
            return float(f"{self.rates[-1] ** 2 / self.rates[-2]:.6g}")
        return None


def arms_of(rows: Iterable[Row]) -> dict[Arm, Tried]:
    """The rows of each arm, by arm."""
    found: dict[Arm, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.arm].append(row)
    return {arm: Tried(some) for arm, some in sorted(found.items())}
