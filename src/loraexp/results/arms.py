"""Runs of several seeds as one arm: its best setting by validation, and its figures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arm_keys import NO_CHOICE, check_keys, settings_of_each, splits_of
from loraexp.results.settings import flat, natural
from loraexp.results.tuned import Tried, tried
from loraexp.stats.significance import (
    Correct,
    Interval,
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
    def stuck(self) -> int:
        """Runs that call all test texts by one label, though these have several: their training
        went astray, or nowhere."""
        confusions = [record.metrics["test"]["confusion"] for record in self.chosen.records]
        return sum(
            sum(map(any, zip(*rows, strict=True))) == 1 < sum(map(any, rows)) for rows in confusions
        )

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
