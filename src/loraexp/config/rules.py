"""What holds for the configuration as a whole: walk it, check it, to and from plain data."""

import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from loraexp.config.keys import FLOAT32, walk
from loraexp.config.pretraining import PretrainConfig
from loraexp.config.schema import Data, Model, TrainConfig, Trainer
from loraexp.errors import UserError, unknown

WEIGHT = {"choices": (), "least": None, "above": 0, "most": FLOAT32}


def check(config: Any) -> None:
    """Hold every key to its rule.

    Raises:
        UserError: the first key that breaks one, as typed, with its rule and its value.
    """
    if isinstance(config, TrainConfig):
        check_targets(config.lora.target_modules)
        check_weights(config.optim.class_weights)
    for name, value, rule in walk(config):
        for place, single in each(name, value):
            check_single(place, single, rule)
    data = getattr(config, "data", None)
    if isinstance(data, Data):
        check_data(data)
    if isinstance(config, TrainConfig):
        check_together(config)
    if isinstance(config, PretrainConfig):
        check_pretraining(config)


def each(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values a rule is about: one, those of a list, or those of a dict with their names."""
    if isinstance(value, dict):
        yield from ((f"{name}.{target}", single) for target, single in value.items())
    elif isinstance(value, list):
        yield from ((name, single) for single in value)
    elif value is not None:
        yield name, value


def check_single(name: str, value: Any, rule: Mapping[str, Any]) -> None:
    if isinstance(value, (list, dict)):
        raise UserError(f"{name} must be a list of single values, got {value!r} in it")
    if rule["choices"] and value not in rule["choices"]:
        raise unknown(name, value, rule["choices"])
    if isinstance(value, str) and "\0" in value:
        raise UserError(f"{name} must have no NUL character in it, got {value!r}")
    if isinstance(value, int) and abs(value) >= 2**63:
        got = value if value.bit_length() < 128 else "one of 39 digits or more"
        raise UserError(f"{name} must be below 2^63, got {got}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name} must be a finite number, got {value}")
    for bound, word, holds in (
        ("least", "at least", operator.ge),
        ("above", "above", operator.gt),
        ("most", "at most", operator.le),
    ):
        limit = rule[bound]
        # A dict that is given as a reference to another key may turn out to be a text.
        if limit is not None and not (isinstance(value, (int, float)) and holds(value, limit)):
            raise UserError(f"{name} must be {word} {limit}, got {value}")


# The keys that a data set reads; others it would leave aside unsaid. One that is not listed may
# read any, and says itself what it refuses.
READS = {
    "sms_demo": (),
    "sms_spam": ("path",),
    "csv": ("path", "text_column", "label_column", "quoting", "delimiter", "encoding", "header"),
}


def check_data(data: Data) -> None:
    if not data.name or any(c in "/\\" or ord(c) < 32 or 127 <= ord(c) < 160 for c in data.name):
        raise UserError(
            f"data.name must be a word without / or \\ or control characters, got {data.name!r:.80}"
        )
    if data.split == "book" and data.name != "sms_spam":
        raise UserError(f"data.split=book belongs to data=sms_spam, got {data.name!r}")
    for name in READS["csv"]:
        value = getattr(data, name)
        if value != getattr(Data, name) and name not in READS.get(data.name, READS["csv"]):
            readers = [own for own, names in READS.items() if name in names]
            raise UserError(
                f"data.{name}={value} needs data={' or data='.join(readers)}, got data={data.name}"
            )


def check_targets(targets: Any) -> None:
    """The rule of a key of more than one type."""
    names = [targets] if isinstance(targets, str) else targets
    if not names or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise UserError(f"lora.target_modules must be a name or a list of names, got {targets!r}")


BALANCED = "balanced"


def check_weights(asked: Any) -> None:
    """The rule of another key of more than one type."""
    name = "optim.class_weights"
    if asked is None or asked == BALANCED:
        return
    if not isinstance(asked, dict) or not asked:
        raise UserError(f"{name} must be {BALANCED} or like {{spam:3}}, got {asked!r}")
    for label, weight in asked.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise UserError(f"{name}.{label} must be a number, got {weight!r}")
        check_single(f"{name}.{label}", weight, WEIGHT)


def check_together(config: TrainConfig) -> None:
    """The rules that bind two keys."""
    model, data = config.model, config.data
    check_heads(model)
    if config.name and (config.name.startswith(".") or {*config.name} & {"/", "\\"}):
        raise UserError(
            f"name must have no / or \\ and no dot in front, got {config.name!r}; "
            "output_dir=FOLDER says where runs are written"
        )
    for name, text in (("name", config.name or ""), ("model.name", model.name)):
        if "\\" in text or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
            raise UserError(f"{name} must have no \\ and no control character, got {text!r:.80}")
    for name, value in (("data.max_length", data.max_length), ("data.pad_to", data.pad_to)):
        if value is not None and value > model.context:
            raise UserError(f"{name} must be at most model.context = {model.context}, got {value}")
    check_sharding(config.trainer)
    if config.adalora.warmup + config.adalora.final > 1:
        raise UserError(
            "adalora.warmup and adalora.final must be at most 1 together, "
            f"got {config.adalora.warmup} and {config.adalora.final}"
        )
    if config.last_block.n > model.n_layer:
        raise UserError(
            f"last_block.n must be at most model.n_layer = {model.n_layer}, "
            f"got {config.last_block.n}"
        )


def check_sharding(trainer: Trainer) -> None:
    if trainer.strategy != "fsdp":
        return
    if trainer.devices == 1:
        raise UserError("trainer.strategy=fsdp needs trainer.devices of at least 2, got 1")
    if trainer.compile:
        raise UserError("trainer.strategy=fsdp needs trainer.compile=false, got true")


def check_heads(model: Model) -> None:
    if model.d_model % model.n_head:
        raise UserError(
            "model.d_model must be a multiple of model.n_head, "
            f"got {model.d_model} and {model.n_head}"
        )


def check_pretraining(config: PretrainConfig) -> None:
    check_heads(config.model)
    if not config.model.causal:
        raise UserError("model.causal=false cannot be pretrained: each token would see the next")
    if not config.data.text:
        raise UserError("data.text must name a file or a folder, got []")
    if config.data.block > config.model.context:
        raise UserError(
            f"data.block must be at most model.context = {config.model.context}, "
            f"got {config.data.block}"
        )
