"""Runs of several seeds as one arm: its best setting by validation, its figures, its comparison."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from loraexp.results.record import Record
from loraexp.results.stats import (
    LEVEL,
    Interval,
    Marks,
    holm,
    over_seeds,
    over_texts,
    p_of_difference,
)
from loraexp.results.tables import differs, flat

# Settings that are no choice between arms: where results go, and what is repeated over.
NO_CHOICE = ("output_dir", "logger.", "name", "seed")


@dataclass(frozen=True)
class Setting:
    """The runs of one configuration, a seed each."""

    config: Mapping[str, Any]
    records: Sequence[Record]

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
        settings: what was tried, each over its seeds.
    """

    name: tuple[Any, ...]
    settings: Sequence[Setting]

    @cached_property
    def chosen(self) -> Setting:
        return max(self.settings, key=lambda setting: setting.validation)

    @cached_property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed."""
        return {r.config["seed"]: r.metrics["test"]["accuracy"] for r in self.chosen.records}

    @cached_property
    def marks(self) -> dict[int, Marks]:
        """By seed: (texts,) whether each test text was labelled rightly."""
        found = {}
        for record in self.chosen.records:
            test = record.predictions["test"]
            found[record.config["seed"]] = np.equal(test["true"], test["predicted"])
        return found

    @property
    def seeds(self) -> Interval:
        return over_seeds([*self.accuracies.values()])

    @property
    def texts(self) -> Interval:
        return over_texts(self.seeds.mean, self.chosen.records[0].metrics["test"]["n"])

    @property
    def deviation(self) -> float | None:
        values = [*self.accuracies.values()]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    @property
    def split(self) -> str:
        return str(self.chosen.records[0].hashes["split"])


def settings_of(record: Record) -> dict[str, Any]:
    """The flat config; keys of `lora` are None where the method attaches nothing."""
    config = flat(record.config)
    if record.counts["adapted_modules"]:
        return config
    return {key: None if key.startswith("lora.") else value for key, value in config.items()}


def varied(records: Sequence[Record]) -> list[str]:
    """The keys that name arms if nobody says which: those that differ, but for learning rates."""
    configs = [settings_of(record) for record in records]
    skipped = (*NO_CHOICE, "optim.lr", "lora.lr_ratio")
    keys = [k for k in configs[0] if not k.startswith(skipped) and differs(k, configs)]
    whole = tuple(k.removesuffix("name") for k in ("model.name", "data.name") if k in keys)
    return [k for k in keys if not k.startswith(whole) or k.endswith(".name")] or ["method"]


def arms(records: Iterable[Record], by: Sequence[str]) -> list[Arm]:
    """Records as arms named by the keys of `by`, in the order they first come."""
    grouped: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    for record in records:
        config = settings_of(record)
        setting = {k: v for k, v in config.items() if not k.startswith(NO_CHOICE)}
        name = tuple(config[key] for key in by)
        grouped.setdefault(name, {}).setdefault(str(setting), []).append(record)
    return [
        Arm(name, [Setting(flat(runs[0].config), runs) for runs in settings.values()])
        for name, settings in grouped.items()
    ]


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference.

    Args:
        difference: of mean test accuracy, over the seeds that both have; None without any.
        p: Holm-corrected over all arms compared; None where they cannot be paired.
    """

    difference: float | None
    p: float | None

    @property
    def told_apart(self) -> bool:
        return self.p is not None and self.p < LEVEL


def compare(all_arms: Sequence[Arm], reference: Arm) -> list[Comparison | None]:
    """Every arm against `reference`, for which there is None."""
    pairs = [paired(arm, reference) if arm is not reference else None for arm in all_arms]
    tested = [i for i, pair in enumerate(pairs) if pair is not None]
    values = [p_of_difference(*pair) for pair in pairs if pair is not None]
    corrected = dict(zip(tested, holm(values), strict=True))
    found: list[Comparison | None] = []
    for i, (arm, pair) in enumerate(zip(all_arms, pairs, strict=True)):
        if arm is reference:
            found.append(None)
        elif pair is None:
            found.append(Comparison(None, None))
        else:
            found.append(Comparison(float(pair[0].mean() - pair[1].mean()), corrected[i]))
    return found


def paired(arm: Arm, other: Arm) -> tuple[Marks, Marks] | None:
    """(seeds, texts) of both over the seeds they share; None without one, or on other texts."""
    shared = sorted(arm.marks.keys() & other.marks.keys())
    if not shared or arm.split != other.split:
        return None
    return tuple(np.stack([one.marks[seed] for seed in shared]) for one in (arm, other))  # type: ignore[return-value]


def best(all_arms: Sequence[Arm]) -> Arm:
    """By mean test accuracy; of equals, the one that trains fewer parameters."""
    return max(
        all_arms,
        key=lambda arm: (arm.seeds.mean, -arm.chosen.records[0].counts["trainable"]),
    )
