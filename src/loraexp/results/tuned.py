"""How an arm's learning rate was found, where runs of their own looked for it (stage one of a tuned
sweep): what they tried, and whether that makes the final runs evidence."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loraexp.records.record import Failure, Record, Trial, by_loss
from loraexp.results.settings import flat

# Of the config, what a trial and the final runs of its arm may differ in.
OWN = ("output_dir", "logger.", "name", "seed", "optim.lr_factor")
AT_THE_EDGE = "the best learning rate is at the edge of its grid"
Fault = tuple[str, str | None]  # why rows are no evidence, and of which row if it is one's own
CONTENT = ("split", "base", "tokenizer")  # hashes that they must share


@dataclass(frozen=True)
class Tried:
    """The learning rates of one arm's trials.

    Args:
        losses: by factor of optim.lr, the validation loss by seed; infinite where a run failed.
        rate: the learning rate of factor 1.
    """

    losses: Mapping[float, Mapping[int, float]]
    rate: float

    @property
    def factors(self) -> list[float]:
        return sorted(self.losses)

    @property
    def means(self) -> dict[float, float]:
        """By factor, ascending, the mean loss over the seeds."""
        return {f: math.fsum(self.losses[f].values()) / len(self.losses[f]) for f in self.factors}

    @property
    def best(self) -> float:
        """The factor of the lowest mean loss; of equals the lowest factor."""
        return min(self.factors, key=self.means.__getitem__)

    @property
    def seeds(self) -> set[frozenset[int]]:
        """Of each factor; one set where all were tried alike."""
        return {frozenset(by_seed) for by_seed in self.losses.values()}


def own_setting(config: Mapping[str, Any]) -> str:
    """What a trial shares with the final runs of its arm."""
    return str({key: value for key, value in flat(config).items() if not key.startswith(OWN)})


def tried(records: Sequence[Record], trials: Collection[Trial | Failure]) -> Tried | None:
    """The trials that looked for the rate of these runs of one setting; None without any.

    Those of other data or of another base are no part of it.
    """
    first, losses = records[0], dict[float, dict[int, float]]()
    wanted, finals = own_setting(first.config), {record.name for record in records}
    for trial in trials:
        if trial.name in finals or own_setting(trial.config) != wanted:
            continue
        if isinstance(trial, Trial) and any(
            trial.hashes.get(part) != first.hashes.get(part) for part in CONTENT
        ):
            continue
        loss = by_loss(trial) if isinstance(trial, Trial) else math.inf
        of_factor = losses.setdefault(trial.config["optim"]["lr_factor"], {})
        of_factor[trial.config["seed"]] = loss
    return Tried(losses, first.config["optim"]["lr"]) if losses else None


def protocol_faults(
    names: Sequence[str], tuned: Sequence[Tried], used: Sequence[float]
) -> Iterator[Fault]:
    """Why the rates of arms were not found alike; none if they were.

    Each arm is offered the same: the same first factors, more of the same grid at the edge where
    its best lies, each with the same seeds; so their numbers may differ, their grid may not.

    Args:
        names: of the arms.
        used: the factor that the final runs of each have.
    """
    if len({seeds for one in tuned for seeds in one.seeds}) > 1:
        yield "the arms were not tuned with the same seeds", None
    union = sorted({factor for one in tuned for factor in one.factors})
    shared = set(union).intersection(*(one.factors for one in tuned))
    whole = all(
        [f for f in union if one.factors[0] <= f <= one.factors[-1]] == one.factors for one in tuned
    )
    if len(shared) < 2 or not whole:
        yield "the arms were not tuned over one grid of learning rates", None
    for name, one, factor in zip(names, tuned, used, strict=True):
        best = one.best
        if len(one.factors) < 3:
            yield too_few(len(one.factors)), name
        elif factor != best:
            had = f"{name} ({one.rate * factor:g}, the best is {one.rate * best:g})"
            yield "trained with another learning rate than the best on validation texts", had
        elif best in (one.factors[0], one.factors[-1]):
            yield AT_THE_EDGE, f"{name} ({one.rate * best:g})"


def too_few(rates: int) -> str:
    return f"only {rates} of at least 3 learning rates tried"


def in_words(tuned: Sequence[Tried]) -> str:
    """What every arm was offered and spent."""
    counts = sorted({len(one.factors) for one in tuned})
    seeds = sorted(next(iter(tuned[0].seeds)))
    union = sorted({factor for one in tuned for factor in one.factors})
    number = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return (
        f"Learning rates: {number} a row, factors {union[0]:g} to {union[-1]:g} of its optim.lr, "
        f"tried on validation texts alone with seed{'s' * (len(seeds) > 1)} "
        f"{', '.join(map(str, seeds))}; the runs shown have the best one."
    )
