"""Runs of several seeds as one arm: its best setting by validation, its figures, its comparison."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arm_keys import NO_CHOICE, check_keys, settings_of_each, splits_of
from loraexp.results.settings import flat, natural
from loraexp.results.tuned import Tried, tried
from loraexp.stats.crossed import p_of_difference
from loraexp.stats.significance import (
    LEVEL,
    Correct,
    Interval,
    holm,
    t_interval,
    wilson_interval,
)


@dataclass(frozen=True)
class Setting:
    """The runs of one configuration, a seed each."""

    config: Mapping[str, Any]
    records: Sequence[Record]

    @property
    def seeds(self) -> set[int]:
        return {record.config["seed"] for record in self.records}

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self.config["optim.lr"] * self.config["optim.lr_factor"])

    @property
    def validation(self) -> tuple[float, float]:
        """Mean accuracy, then mean loss: what settings are chosen by; more is better in both."""
        scores = [record.metrics["validation"] for record in self.records]
        losses = [score["loss"] for score in scores if score["loss"] is not None]
        loss = float(np.mean(losses)) if losses else float("inf")
        return float(np.mean([score["accuracy"] for score in scores])), -loss


@dataclass(frozen=True)
class Arm:
    """All that was tried under one name, e.g. method=dora; told by the setting that validation
    chose.

    Args:
        name: the values of the keys it is named by.
        settings: what was trained, each over its seeds.
        trials: of all arms, the runs that only looked for a learning rate.
    """

    name: tuple[Any, ...]
    settings: Sequence[Setting]
    trials: Collection[Trial | Failure] = ()

    @property
    def records(self) -> list[Record]:
        """Of all its settings."""
        return [record for setting in self.settings for record in setting.records]

    @cached_property
    def chosen(self) -> Setting:
        return max(self.settings, key=lambda setting: setting.validation)

    @property
    def trainable(self) -> int:
        return int(self.chosen.records[0].counts["trainable"])

    @property
    def n(self) -> int:
        """Of test texts."""
        return int(self.chosen.records[0].metrics["test"]["n"])

    @cached_property
    def tried(self) -> Tried | None:
        """How its learning rate was found, where runs of their own looked for it."""
        return tried(self.chosen.records, self.trials) if len(self.settings) == 1 else None

    @property
    def rates(self) -> dict[float, float]:
        """By learning rate, the mean validation loss."""
        if self.tried:
            return {self.tried.rate * factor: loss for factor, loss in self.tried.means.items()}
        return {setting.rate: -setting.validation[1] for setting in self.settings}

    @property
    def count(self) -> int:
        """How many settings its own was chosen from."""
        return len(self.tried.losses) if self.tried else len(self.settings)

    @cached_property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed."""
        return {r.config["seed"]: r.metrics["test"]["accuracy"] for r in self.chosen.records}

    @cached_property
    def correct(self) -> dict[int, Correct]:
        """By seed: (texts,) whether each test text was labelled rightly."""
        return {record.config["seed"]: marks_of(record) for record in self.chosen.records}

    @cached_property
    def seeds(self) -> Interval:
        return t_interval([*self.accuracies.values()])

    @property
    def texts(self) -> Interval:
        return wilson_interval(self.seeds.mean, self.n)

    @property
    def deviation(self) -> float | None:
        values = [*self.accuracies.values()]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    @cached_property
    def split(self) -> str:
        """Of the texts it was tested on; of several splits, no other arm's."""
        return "+".join(sorted(splits_of(self.records)))


def arms(
    records: Sequence[Record],
    by: Sequence[str],
    trials: Collection[Trial | Failure] = (),
    configs: Sequence[Mapping[str, Any]] | None = None,
) -> list[Arm]:
    """Records as arms named by the keys of `by`, in the order of their names, numbers by value.

    Args:
        trials: runs that only looked for a learning rate; a failed one counts as tried.
        configs: the settings of each record, where they are known already.

    Raises:
        UserError: a key that not every record has.
    """
    grouped: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    configs = configs or settings_of_each(records)
    for record, config in zip(records, configs, strict=True):
        check_keys(by, [config])
        setting = {key: config[key] for key in choices(tuple(config))}
        name = tuple(config[key] for key in by)
        grouped.setdefault(name, {}).setdefault(str(setting), []).append(record)
    return [
        Arm(name, [Setting(flat(runs[0].config), runs) for runs in settings.values()], trials)
        for name, settings in sorted(grouped.items(), key=lambda item: [*map(natural, item[0])])
    ]


@lru_cache
def choices(keys: tuple[str, ...]) -> list[str]:
    """Of a config's keys, those that tell settings apart."""
    return [key for key in keys if not key.startswith(NO_CHOICE)]


def marks_of(record: Record) -> Correct:
    """(texts,) whether a run labelled each test text rightly."""
    test = record.predictions["test"]
    return np.equal(test["true"], test["predicted"])


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference.

    Args:
        difference: of mean test accuracy, over the seeds that both have; None without any.
        p: Holm-corrected over all arms compared; None where there was no test.
        untested: why there was none.
    """

    difference: float | None
    p: float | None
    untested: str | None = None

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < LEVEL

    @property
    def worse(self) -> bool:
        return (self.difference or 0) <= 0

    @property
    def verdict(self) -> str:
        if self.untested or not self.significant:
            return self.untested or "tied"
        return "worse" if self.worse else "better"


def compare(all_arms: Sequence[Arm], baseline: Arm | None = None) -> list[Comparison | None]:
    """Every arm against the baseline, else against the best of those tested on the same texts;
    None for these themselves."""
    groups, references = by_split(all_arms), references_of(all_arms, baseline)
    not_paired = Comparison(None, None, "not paired")
    comparisons: list[Comparison | None] = []
    tested: dict[int, float] = {}  # by place, p before it is corrected
    for place, (arm, reference) in enumerate(zip(all_arms, references, strict=True)):
        pair = paired(arm, reference)
        if arm is reference:
            lone = len(all_arms) > 1 and len(groups[arm.split]) == 1
            comparisons.append(not_paired if lone and not baseline else None)
        elif pair is None:
            comparisons.append(not_paired)
        else:
            # One seed each: a test over the texts alone names one of two that do not differ worse
            # in 9 to 14 of 100 sweeps, the best of single runs being a lucky draw as a rule.
            untested = "one seed" if len(pair[0]) == 1 else None
            difference = float(pair[0].mean() - pair[1].mean())
            comparisons.append(Comparison(difference, None, untested))
            if not untested:
                tested[place] = p_of_difference(*pair)
    for place, p in zip(tested, holm([*tested.values()]), strict=True):
        comparisons[place] = replace(comparisons[place], p=p)  # type: ignore[type-var]
    return comparisons


def by_split(all_arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """The arms that were tested on the same texts."""
    groups: dict[str, list[Arm]] = {}
    for arm in all_arms:
        groups.setdefault(arm.split, []).append(arm)
    return groups


def references_of(all_arms: Sequence[Arm], baseline: Arm | None) -> list[Arm]:
    """What each arm is compared with."""
    tops = {split: best(group) for split, group in by_split(all_arms).items()}
    return [baseline or tops[arm.split] for arm in all_arms]


def paired(arm: Arm, other: Arm) -> tuple[Correct, Correct] | None:
    """(seeds, texts) of both over the seeds they share; None without one, or on other texts."""
    shared = sorted(arm.correct.keys() & other.correct.keys())
    # Of one split trainer.limit_batches may leave some texts out.
    texts = {len(member.correct[seed]) for seed in shared for member in (arm, other)}
    if not shared or arm.split != other.split or len(texts) > 1:
        return None
    own, others = (np.stack([a.correct[seed] for seed in shared]) for a in (arm, other))
    return own, others


def best(all_arms: Sequence[Arm]) -> Arm:
    """By mean test accuracy; of equals, the one that trains fewer parameters."""
    return max(all_arms, key=lambda arm: (arm.seeds.mean, -arm.trainable))
