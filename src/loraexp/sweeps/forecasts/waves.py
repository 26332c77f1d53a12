"""What a sweep will do, wave by wave: the jobs of a wave go side by side, the next ones follow from
how they end; so there is a least and a most."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loraexp.config.schema import TrainConfig
from loraexp.sweeps.adaptive.tuning import Tuning, by_arm, next_factors
from loraexp.sweeps.live.watch import there
from loraexp.sweeps.plan import Plan

# Of a run: all of it, no more than its validation texts need, or what then is left of it.
Part = Literal["whole", "trial", "rest"]


@dataclass(frozen=True)
class Wave:
    """Jobs that wait for none of each other.

    Args:
        known: their names are those that they will have: what is finished can be told.
    """

    configs: Sequence[TrainConfig]
    part: Part = "whole"
    known: bool = True

    @property
    def missing(self) -> list[TrainConfig]:
        """Those that are still to be done, each once."""
        once = list({repr(config): config for config in self.configs}.values())
        if not self.known:
            return once
        return [config for config in once if not there(config, self.part == "trial")]


def least(planned: Plan) -> list[Wave]:
    """What every sweep of this plan does."""
    if planned.protocol.search:
        return searched(planned)
    return [*tried(planned, second), *finals(planned, most=False)]


def most(planned: Plan) -> list[Wave]:
    """What no sweep of this plan does more of."""
    if planned.protocol.search:
        return searched(planned)
    return [*tried(planned, highest), *finals(planned, most=True)]


def searched(planned: Plan) -> list[Wave]:
    """As many settings at a time as there are workers, and the test texts of the best one. What is
    drawn is not known: each is as large as the largest that may be."""
    rule, workers = planned.protocol.search, planned.protocol.workers or 1
    assert rule is not None
    one, trials = planned.jobs[0], (rule.trials or 0) * rule.seeds
    each = [replace(one, seed=at) for at in range(trials)]
    size = workers * rule.seeds
    waves = [Wave(each[at : at + size], "trial", known=False) for at in range(0, trials, size)]
    # One after another, when all are tried.
    return [*waves, *(Wave([config], "rest", known=False) for config in each[: rule.seeds])]


Loss = Callable[[float, Sequence[float]], float]


def second(factor: float, start: Sequence[float]) -> float:
    """A loss that is lowest inside the factors that are tried first, where that can be."""
    return abs(math.log(factor / start[1]))


def highest(factor: float, start: Sequence[float]) -> float:
    """A loss that falls for ever."""
    return -factor


def tried(planned: Plan, loss: Loss) -> Iterator[Wave]:
    """The rates that each arm tries, if that is the loss of each."""
    rule = planned.protocol.tune
    if rule is None:
        return
    tuning = Tuning.of(planned.jobs, rule, planned.protocol.factors)
    losses: dict[float, float] = {}
    while factors := next_factors(losses, tuning.start, rule.most):
        losses |= {factor: loss(factor, tuning.start) for factor in factors}
        yield Wave(
            [t for arm in tuning.arms for f in factors for t in tuning.trials(arm, f)], "trial"
        )


def finals(planned: Plan, most: bool) -> Iterator[Wave]:
    """The runs that are tested: in looks, where these say how many seeds are needed."""
    known = planned.protocol.tune is None  # else at a rate that is not found yet
    if planned.protocol.seeds is None:
        yield Wave(planned.jobs, known=known)
        return
    arms = by_arm(planned.jobs).values()
    looks = planned.protocol.seeds.seeds
    before = 0
    for seeds in looks if most and len(arms) > 1 else looks[:1]:
        yield Wave([run for arm in arms for run in arm[before:seeds]], known=known)
        before = seeds
