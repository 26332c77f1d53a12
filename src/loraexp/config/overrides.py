"""What was typed, one override at a time: every mistake in it is found before anything runs."""

import itertools
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, get_args

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from loraexp.config.compose import conf_dir, readable
from loraexp.config.keys import Verb, group_in, keys
from loraexp.config.quoting import escaped_keys, literal, quoted
from loraexp.errors import UserError, listed, unknown, unknown_but_near

MOST_JOBS = 100_000  # of a sweep: each is checked before the first begins
TEXT = "text"
# What peft and transformers call keys whose names are not like ours.
ELSEWHERE = {
    "r": "lora.rank",
    "learning_rate": "optim.lr",
    "num_train_epochs": "trainer.max_epochs",
    "epochs": "trainer.max_epochs",
    "per_device_train_batch_size": "data.batch_size",
    "gradient_accumulation_steps": "trainer.accumulate",
    "max_grad_norm": "optim.grad_clip",
    "lr_scheduler_type": "optim.schedule",
    "bf16": "trainer.precision",
}


def read(verb: Verb, text: str) -> Override:
    """One override of a key there is. What Hydra's grammar cannot read is taken as typed."""
    key, equals, value = text.partition("=")
    if not equals or key.startswith("~"):
        raise UserError(f"{text!r} is no override: write key=value")
    if key.startswith("hydra.sweeper.params"):
        raise UserError(f"{key}: write the swept key itself, as lora.rank=4,8, and -m")
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        return parsed(text) or cannot_read(text)
    key = key.lstrip("+")  # Hydra's sign for a new key; here every key is there already
    kind = kind_of(verb, key)
    if kind is dict:
        key = f"++{key}"  # what is inside is new
    elif kind is list and not value.startswith("["):
        value = f"[{value}]"
    override = parsed(f"{key}={quoted(value) if kind == TEXT else value}")
    # A name like 2026_11 or 1e5 is no number: keep it as typed.
    if override is None or (kind is str and isinstance(override.value(), (bool, int, float))):
        again = escaped_keys(value) if kind is dict else literal(kind, value)
        override = parsed(f"{key}={again}") or parsed(f"{key}={quoted(value)}") or cannot_read(text)
    if kind == "group":
        for option in options_of(override):
            if option not in groups_of(verb)[key]:
                raise unknown(key, option, groups_of(verb)[key])
        if not override.is_sweep_override() and override.value() is None:
            return parsed(f"~{key}") or cannot_read(text)  # Hydra's way to leave a group out
    return override


def cannot_read(text: str) -> NoReturn:
    raise UserError(f"cannot read {text!r}: write key=value")


def parsed(text: str) -> Override | None:
    """Hydra's reading of an override, None where its grammar has none."""
    try:
        loader = GlobalHydra.instance().config_loader()  # for glob(...)
        return OverridesParser.create(loader).parse_overrides([text])[0]
    except (HydraException, ValueError):  # the second: a number of more than 4,300 digits
        return None


def line(override: Override) -> str:
    return str(override.input_line)


def kind_of(verb: Verb, key: str) -> Any:
    """What a key takes: "group" (an option's name), TEXT (all that is typed), dict, list, str (any
    text), Any or None."""
    if key in groups_of(verb):
        return "group"
    leaves = dict(keys(verb.schema))
    for name, field in leaves.items():
        types = [getattr(t, "__origin__", t) for t in (field.type, *get_args(field.type))]
        if key == name and field.metadata["text"]:
            return TEXT
        if key == name:
            plain = str in types and not field.metadata["choices"]
            return next((t for t in (dict, list, Any) if t is types[0]), str if plain else None)
        if dict in types and key.startswith(f"{name}."):
            return dict
    inside = [name for name in leaves if name.startswith(f"{key}.")]
    if inside:
        raise UserError(f"{key} is a group of keys: set one of {listed(inside)}")
    known = [*leaves, *groups_of(verb)]
    meant = ELSEWHERE.get(key.rpartition(".")[2])
    near = f"unknown key {key!r}; did you mean {meant!r}?" if meant in known else ""
    error = near or unknown_but_near("key", key, known)
    raise UserError(f"{error} python -m loraexp {verb.name} --help lists the keys")


def check_belonging(verb: Verb, given: list[str]) -> None:
    """Keys of a group that is null by itself need an option of that group."""
    for field in fields(verb.schema):
        inside = [key for key in given if key.startswith(f"{field.name}.")]
        if inside and field.default is None and group_in(field.type) and field.name not in given:
            options = ", ".join(set_of(verb, field.name))
            raise UserError(f"{inside[0]} needs {field.name}=... beside it, one of {options}")


def several(verb: Verb, override: Override) -> UserError:
    key, values = override.key_or_group, line(override).partition("=")[2]
    ways = ["add -m to sweep over them"] if verb.name == "train" else []
    kind = kind_of(verb, key)
    if kind is Any and not values.startswith("["):
        ways.append(f"write {key}=[{values}] for one list")
    elif kind in (str, TEXT):
        ways.append(f"quote them for one text: {key}='\"{values}\"'")
    return UserError(f"{key} has several values: {', or '.join(ways) or 'give one'}")


def options_of(override: Override) -> list[str]:
    if override.is_sweep_override():
        return values(override)
    value = override.value()
    return ["null" if value is None else str(value)]


OWN_FOLDERS: list[Path] = []  # of who types, beside ours


def look_in(folders: Sequence[Path]) -> None:
    """From now on the options of groups are also those that these config folders have."""
    OWN_FOLDERS[:] = folders


def groups_of(verb: Verb) -> dict[str, list[str]]:
    """The config groups of a verb and their options; null of one that may be left out."""
    return options_in(verb, (conf_dir(), *OWN_FOLDERS))


@cache
def options_in(verb: Verb, folders: tuple[Path, ...]) -> dict[str, list[str]]:
    options = {}
    for name, taken in default_options(verb).items():
        files = {
            file.relative_to(folder / name).with_suffix("").as_posix()
            for folder in folders
            for file in (folder / name).rglob("*.yaml")
        }
        options[name] = [*sorted(files), *["null"] * (taken is None)]
    return options


def set_of(verb: Verb, group: str) -> list[str]:
    """The options of a group but null."""
    return [option for option in groups_of(verb)[group] if option != "null"]


@cache
def default_options(verb: Verb) -> dict[str, str | None]:
    """The config groups of a verb and the option of each that a plain run takes."""
    file = conf_dir() / f"{verb.name}.yaml"
    if not file.is_file():
        return {}
    primary = OmegaConf.load(file)
    entries = [next(iter(e.items())) for e in primary.defaults if isinstance(e, DictConfig)]
    named = {str(name): option for name, option in entries}
    return {name: option for name, option in named.items() if not name.startswith("override ")}


def values(override: Override) -> list[str]:
    """What a key of a sweep takes one after the other, as typed; at most MOST_JOBS and one more."""
    if override.is_interval_sweep():
        raise UserError(f"{line(override)}: an interval is for a search: search.trials=20")
    try:
        return [*itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)]
    except (HydraException, ValueError, ArithmeticError) as error:
        raise UserError(f"{line(override)}: {readable(error)}") from None
