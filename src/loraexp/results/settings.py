"""Settings of runs as flat keys: how they are shown, and whether one is what a user typed."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from loraexp.errors import UserError
from loraexp.records.record import Record

DIGITS = "0123456789"
# Where results go, and how many train texts are measured: no result of training hangs on it.
NO_RESULT = ("output_dir", "logger.", "name", "trainer.train_metrics")


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted keys; lists and patterns as text, targets as short ones."""
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and not key.endswith(("_pattern", "_weights")):
            settings.update(flat(value, f"{prefix}{key}."))
        elif key == "target_modules":
            settings[prefix + key] = short_targets(value)
        else:
            settings[prefix + key] = str(value) if isinstance(value, (list, dict)) else value
    return settings


def uses(record: Record, key: str) -> bool:
    """Does a key mean anything to the method? Those of `lora` need a rank, its targets something
    to attach. Records of before do not say which adapted modules have a rank: all, then."""
    if not key.startswith("lora."):
        return True
    adapted = record.counts["adapted_modules"]
    ranked = min(adapted, record.counts.get("low_rank_modules", adapted))
    return (adapted if key == "lora.target_modules" else ranked) > 0


def differs(key: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    return len({str(config.get(key)) for config in configs}) > 1


def by_name(keys: Sequence[str]) -> list[str]:
    """A model or a data set is told by its name, not by all that makes it."""
    whole = tuple(group for group in ("model.", "data.") if f"{group}name" in keys)
    return [key for key in keys if not key.startswith(whole) or key.endswith(".name")]


def heading(key: str) -> str:
    """model.name -> model, optim.lr -> lr, seed -> seed."""
    return key.removesuffix(".name").rpartition(".")[2]


def natural(part: Any) -> tuple[int, float, list[tuple[bool, int, str]]]:
    """To sort by: numbers by value and before words, numbers inside words too; None is last."""
    if part is None:
        return (2, 0.0, [])
    if isinstance(part, tuple):
        part = part[0]
    if isinstance(part, (int, float)) and not isinstance(part, bool):
        return (0, float(part), [])
    chunks = re.findall(r"[0-9]{1,300}|[^0-9]+", str(part))
    return (1, 0.0, [(False, int(c), c) if c[0] in DIGITS else (True, 0, c) for c in chunks])


def spelled(by: Sequence[str], name: Sequence[Any], without: str = "") -> str:
    """The name of an arm in words: lora, rank 8."""
    return ", ".join(
        value if isinstance(value, str) else f"{heading(key)} {value}"
        for key, value in zip(by, name, strict=True)
        if key != without and value is not None
    )


def short_targets(targets: Any) -> str:
    """q_proj,v_proj -> q,v; anything else as it is."""
    names = [targets] if isinstance(targets, str) else targets
    return ",".join(map(short_target, map(str, names)))


@lru_cache
def short_target(name: str) -> str:
    return re.sub(r"^(q|k|v|out)_proj$", r"\1", name)


def conditions(typed: str) -> list[tuple[str, str]]:
    """Key and value of key=value, or of several with commas; commas that no key follows belong to
    a value: lora.target_modules=q,v,seed=0 are two.

    Raises:
        ValueError: something that is no key=value.
    """
    parts = re.split(r",(?=[\w.]+=)", typed)
    if not all(re.match(r"[\w.]+=", part) for part in parts):
        raise ValueError(typed)
    return [(key, value) for key, _, value in (part.partition("=") for part in parts)]


def is_typed(value: Any, typed: str) -> bool:
    """Is a setting what was typed? Values count, not how they are written: 1e-3 is 0.001, false is
    False, nothing is null, [q_proj,v_proj] is q,v."""
    if str(value) == typed or (isinstance(value, str) and bare(value) == bare(typed)):
        return True
    meant = read(typed)
    if isinstance(value, bool) or isinstance(meant, bool) or value is None or meant is None:
        return value is meant
    return not isinstance(value, str) and bool(value == meant)


def read(typed: str) -> Any:
    """A text as YAML reads it; 1e-3, which YAML takes for a word, as a number too."""
    try:
        value = yaml.safe_load(typed)
    except yaml.YAMLError:
        return typed
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def bare(text: str) -> str:
    """Of lists and patterns what is in them: no brackets, quotes or spaces, short targets."""
    inside = re.sub(r"[\s'\"]", "", text)
    inside = re.sub(r"^\[(.*)\]$|^\{(.*)\}$", lambda match: match[1] or match[2] or "", inside)
    return short_targets(inside.split(","))


def chosen(config: Mapping[str, Any], where: Sequence[str]) -> bool:
    """Does a flat config meet all conditions key=value, or key=a|b for either?

    Raises:
        UserError: a condition that is none, or on a key that there is not.
    """
    try:
        # joined: the command line cuts a list of targets at its commas
        wanted = conditions(",".join(where)) if where else []
        for key, typed in wanted:
            if key not in config:
                raise ValueError(f"{key}={typed}")
            if not any(is_typed(config[key], option) for option in typed.split("|")):
                return False
    except ValueError as error:
        rule = "write key=value with a key of train, e.g. seed=0"
        raise UserError(f"where={error}: {rule}") from None
    return True
