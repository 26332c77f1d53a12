"""From what was typed to Hydra's arguments: every mistake is found here, before any job starts."""

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from loraexp.config import SCHEMAS, check
from loraexp.errors import UserError, unknown

# Keys whose value is text as typed: commas, quotes and brackets in it are no grammar.
FREE_TEXT = {"text", "file", "out", "run"}
MULTIRUN = ("-m", "--multirun")


@dataclass(frozen=True)
class Plan:
    """What to hand to Hydra; `sweep` is the folder of a sweep, None for a single run."""

    arguments: list[str]
    conf: Path
    sweep: Path | None


def conf_dir() -> Path:
    """conf/ inside the installed package, else the checkout's."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def plan(verb: str, arguments: list[str]) -> Plan:
    """Check the arguments of a verb and every job they make.

    Raises:
        UserError: an unknown key, group option or value, as typed, with the nearest valid one.
    """
    register_schemas()
    flags = [a for a in arguments if a.startswith("-")]
    typed_overrides = [a for a in arguments if not a.startswith("-")]
    overrides = [parse(verb, text) for text in typed_overrides]
    written = [override.input_line or "" for override in overrides]
    for override in overrides:
        check_names(verb, override)
    multirun = any(flag in MULTIRUN for flag in flags)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        fixed = [o.input_line or "" for o in overrides if not o.is_sweep_override()]
        shell = composed(verb, fixed, shell=True).hydra
        multirun = multirun or str(shell.mode) == "RunMode.MULTIRUN"
        swept = [o.key_or_group for o in overrides if o.is_sweep_override()]
        if swept and not multirun:
            raise UserError(f"{swept[0]} has several values: add -m to sweep over them")
        if verb != "train" and multirun:
            raise UserError(f"-m sweeps belong to train, not to {verb}")
        for job in jobs(shell, overrides) if multirun else [written]:
            check(to_typed(composed(verb, job)))
        sweep = sweep_folder(composed(verb, fixed)) if multirun else None
    flags = [flag for flag in flags if flag not in MULTIRUN]
    if sweep is not None:
        flags.append("-m")
        if not any(o.key_or_group == "hydra.sweep.dir" for o in overrides):
            written.append(f"hydra.sweep.dir={quoted(str(sweep))}")
    return Plan([f"--config-name={verb}", *flags, *written], conf_dir(), sweep)


def typed(config: DictConfig) -> Any:
    """The typed, checked object of a composed job; the last that is seen of DictConfig."""
    result = to_typed(config)
    check(result)
    return result


def job_arguments(verb: str) -> list[str]:
    """Arguments that run the current job alone, also when it is one of a sweep."""
    return [f"--config-name={verb}", *HydraConfig.get().overrides.task, "hydra.mode=RUN"]


def register_schemas() -> None:
    for verb, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{verb}_schema", node=schema)


def parse(verb: str, text: str) -> Override:
    """One override; what Hydra's grammar cannot read is taken as literal text."""
    key, equals, value = text.partition("=")
    if not equals and not text.startswith("~"):
        raise UserError(f"{text!r} is no override: write key=value")
    if key in FREE_TEXT and value not in ("null", "???"):
        text = f"{key}={quoted(value)}"
    parser = OverridesParser.create()
    try:
        return parser.parse_override(text)
    except OverrideParseException:
        try:
            return parser.parse_override(f"{key}={quoted(value)}")
        except OverrideParseException:
            raise UserError(f"cannot read {text!r}: write key=value") from None


def quoted(value: str) -> str:
    """`value` as a quoted string of Hydra's grammar that neither splits nor interpolates."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def check_names(verb: str, override: Override) -> None:
    """Is the key one of the verb's, and does the group have the option?"""
    key = override.key_or_group
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        return
    groups = groups_of(verb)
    if key in groups:
        for option in options_of(override):
            if option not in (*groups[key], "null", None):
                raise unknown(key, option, groups[key])
        return
    leaves = dict(keys_of(SCHEMAS[verb]))
    if key in leaves or any(key.startswith(f"{k}.") for k, kind in leaves.items() if kind is dict):
        return
    inside = [name for name in leaves if name.startswith(f"{key}.")]
    if inside:
        raise UserError(f"{key} is a group of keys: set one of {', '.join(inside)}")
    error = str(unknown("key", key, [*leaves, *groups])).partition(" known:")[0]
    raise UserError(f"{error.rstrip(';')}; python -m loraexp {verb} --help lists the keys")


def options_of(override: Override) -> list[Any]:
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.value()]


def groups_of(verb: str) -> dict[str, list[str]]:
    """The config groups of a verb and their options."""
    primary = OmegaConf.load(conf_dir() / f"{verb}.yaml")
    names = [next(iter(entry)) for entry in primary.defaults if isinstance(entry, DictConfig)]
    return {
        str(name): sorted(file.stem for file in (conf_dir() / str(name)).glob("*.yaml"))
        for name in names
        if not str(name).startswith("override ")
    }


def keys_of(schema: type[Any], prefix: str = "") -> Iterator[tuple[str, type]]:
    """Dotted names of the keys of a schema, with dict for those that take keys of their own."""
    for field in fields(schema):
        kind: Any = field.type
        inner = next((t for t in (kind, *getattr(kind, "__args__", ())) if is_dataclass(t)), None)
        if inner is not None:
            yield from keys_of(inner, f"{prefix}{field.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + field.name, dict if "dict" in str(kind) else str


def jobs(shell: DictConfig, overrides: list[Override]) -> list[list[str]]:
    """The overrides of every job of a grid sweep, as Hydra's basic sweeper will make them."""
    params = shell.sweeper.get("params") or {}
    parser = OverridesParser.create()
    given = parser.parse_overrides([f"{key}={value}" for key, value in params.items()])
    try:
        return list(itertools.chain(*BasicSweeper.split_arguments([*given, *overrides], None)))
    except HydraException as error:
        raise UserError(str(error)) from None


def composed(verb: str, overrides: list[str], shell: bool = False) -> DictConfig:
    try:
        return compose(verb, overrides, return_hydra_config=shell)
    except HydraException as error:
        cause = error.__cause__ or error
        raise UserError(readable(cause)) from None
    except OmegaConfBaseException as error:
        raise UserError(readable(error)) from None


def to_typed(config: DictConfig) -> Any:
    try:
        return OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is required: {error.full_key}=...") from None
    except OmegaConfBaseException as error:
        raise UserError(readable(error)) from None


def readable(error: BaseException) -> str:
    """Hydra's and OmegaConf's messages on one line, the key first."""
    message = str(error).splitlines()[0]
    key = getattr(error, "full_key", None)
    if key and " of type " in message and " could not be converted to " in message:
        value, _, kind = message.partition(" could not be converted to ")
        value = value.removeprefix("Value ").partition(" of type ")[0]
        return f"{key} must be {KINDS.get(kind, kind)}, got {value}"
    return f"{key}: {message}" if key and key not in message else message


KINDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def sweep_folder(config: DictConfig) -> Path:
    """A new folder's name under the output folder; no other process gets the same."""
    return (
        Path(config.output_dir) / "sweeps" / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{os.getpid()}"
    )
