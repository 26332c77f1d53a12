"""What a record must hold: all that a table, a plot or a report reads of it, and of which kind.

Keys that are not named here may be there too; nothing reads them unchecked.
"""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed
from loraexp.records.typed_json import ENDS, Within, check, hints_of

SPLITS = ("train", "validation", "test")
OUT_OF_SCOPE = "out_of_scope"  # texts of no class, and what was measured with them

Count = Annotated[int, Within(0, ENDS[int].high)]
Positive = Annotated[int, Within(1, ENDS[int].high)]
Amount = Annotated[float, Within(0, ENDS[float].high)]
Share = Annotated[float, Within(0, 1)]


class Texts(TypedDict):
    """How many of each split."""

    train: Count
    validation: NotRequired[Count]
    test: NotRequired[Count]


class DataFacts(TypedDict):
    note: str
    synthetic: bool
    n: Texts
    repeats: NotRequired[dict[str, Count]]
    full_length: NotRequired[dict[str, Count]]
    warnings: NotRequired[list[str]]
    train_classes: NotRequired[list[Count]]


class CountFacts(TypedDict):
    trainable: Positive  # of a log axis
    total: Count
    adapted_modules: Count
    low_rank_modules: NotRequired[Count]
    percent: Amount
    adapter_bytes: Count


class ValidationScores(TypedDict):
    """Of the validation texts of a search's job."""

    loss: float | None
    accuracy: Share


class Refused(TypedDict):
    """What a threshold on the largest probability refuses of test texts in and out of scope.

    n is of texts in scope, right of those of them that are kept and labelled rightly.
    """

    threshold: Share
    auroc: Share
    n: Positive
    refused: Count
    right: Count
    outside: Positive
    outside_refused: Count


class Scores(ValidationScores):
    """Of one split; a score that is not defined is None, one that came later may be missing.

    Reliability is a row a bin: texts, those of them that are right, the sum of their confidence.
    """

    n: Positive
    f1: Share | None
    precision: Share | None
    recall: Share | None
    auroc: Share | None
    confusion: list[list[Count]]
    ece: NotRequired[Share | None]
    brier: NotRequired[Annotated[float, Within(0, 2)] | None]
    reliability: NotRequired[list[list[Amount]]]
    out_of_scope: NotRequired[Refused]


class Predicted(TypedDict):
    true: list[Count]
    predicted: list[Count]


class Predictions(TypedDict):
    test: Predicted


class Mistake(TypedDict):
    text: str
    true: Count
    predicted: Count
    chance: Share


class Seconds(TypedDict):
    load: NotRequired[float]
    fit: NotRequired[float]
    evaluate: NotRequired[float]
    total: Amount


CONFIG: dict[str, Any] = {
    "config": TrainConfig,
    "config.lora.rank": Positive,
    "config.lora.target_modules": str | list[str],
}


# Configs that were found right, by all of them but the seed: runs of a sweep share most.
KNOWN: dict[str, dict[str, Any]] = {}


def checked(stored: dict[str, Any]) -> dict[str, Any]:
    """A config with the keys that it is too old to have; what is equal is the same object."""
    config = completed(stored)
    rest = repr({**config, "seed": None})
    if rest in KNOWN:
        check({"config": config}, {"config.seed": hints_of(TrainConfig)["seed"]})
        return {**KNOWN[rest], "seed": config["seed"]}
    check({"config": config}, CONFIG)
    return {**KNOWN.setdefault(rest, config)}


def at_odds(content: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit together in a record, trial or failure whose parts are of the right types;
    each phrase begins with its field."""
    if not plain_name(content["name"]):
        yield "name is no name of a folder"
    optim = content["config"]["optim"]
    if not 0 < optim["lr"] * optim["lr_factor"] < math.inf:
        yield "config.optim.lr times lr_factor is no learning rate"
    if "labels" in content:
        yield from of_record(content, len(content["labels"]))


def of_record(content: Mapping[str, Any], classes: int) -> Iterator[str]:
    for part in ("base", "split"):
        if part not in content["hashes"]:
            yield f"hashes.{part} is missing"
    if classes < 2 or len({*content["labels"]}) < classes:
        yield "labels are not two or more different names"
    metrics, test = content["metrics"], content["predictions"]["test"]
    if metrics.keys() != {*SPLITS}:
        yield "metrics are not of train, validation and test"
        return
    for split, scores in metrics.items():
        confusion = scores["confusion"]
        if [len(row) for row in confusion] != [classes] * classes:
            yield f"metrics.{split}.confusion is not {classes} x {classes}, as there are labels"
        elif sum(map(sum, confusion)) != scores["n"]:
            yield f"metrics.{split}.confusion is not of n = {scores['n']} texts"
        bins = scores.get("reliability", [])
        if {*map(len, bins)} - {3} or any(n < right or n < sure for n, right, sure in bins):
            yield f"metrics.{split}.reliability is not a row a bin: texts, right ones, confidence"
        own = scores.get(OUT_OF_SCOPE)
        if own and (
            own["n"] != scores["n"]
            or own["refused"] + own["right"] > own["n"]
            or own["outside_refused"] > own["outside"]
        ):
            yield f"metrics.{split}.{OUT_OF_SCOPE} counts more texts than there are"
    if len(content["data"].get("train_classes", range(classes))) != classes:
        yield f"data.train_classes is not of {classes} classes, as there are labels"
    n = metrics["test"]["n"]
    for field in ("true", "predicted"):
        if len(test[field]) != n:
            yield f"predictions.test.{field} is not of n = {n} texts"
        elif max({*test[field]}) >= classes:
            yield f"predictions.test.{field} has a class without a label"
    if any(max(m["true"], m["predicted"]) >= classes for m in content["mistakes"]):
        yield "mistakes have a class without a label"


def plain_name(name: str) -> bool:
    """Is it one part of a path, and nothing that steers a terminal? A report calls its files so."""
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        return False
    control = any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    return 0 < size < 256 and name not in (".", "..") and not {*name} & {"/", "\\"} and not control
