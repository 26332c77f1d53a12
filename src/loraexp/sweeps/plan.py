"""From what was typed to Hydra's arguments: every mistake is found here, before any job starts."""

import itertools
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, get_args

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from loraexp.config.compose import (
    based,
    check_optuna,
    check_plugins,
    composed,
    readable,
    register_schema,
    to_typed,
)
from loraexp.config.quoting import FREE_TEXT, escaped_keys, literal, quoted
from loraexp.config.rules import check, group_in, keys
from loraexp.config.schema import Model, TrainConfig
from loraexp.config.schemas import SCHEMAS, PretrainConfig
from loraexp.config.stored import expanded
from loraexp.errors import UserError, unknown
from loraexp.runs.memory import check_memory

MULTIRUN = ("-m", "--multirun")
# Of Optuna's sweeper: a seed, so that the same command tries the same and goes on where it was.
SEARCH = ("hydra.sweeper.sampler.seed=0", "hydra.sweeper.n_jobs=1")
MOST_JOBS = 100_000  # of a sweep: each is checked before the first begins
SHOW = ("--cfg=job", "--cfg=hydra", "--cfg=all", "--resolve")  # Hydra's: print, run nothing


@dataclass(frozen=True)
class Plan:
    """What to hand to Hydra, and the checked config of each job that this will run.

    `sweep` is the folder of a sweep, None for a single run. In a search the jobs are not known
    beforehand: `jobs` has what they share.
    """

    arguments: list[str]
    conf: Path
    sweep: Path | None
    jobs: list[Any]
    search: bool = False
    shows: bool = False  # Hydra is to print the config and run nothing


def conf_dir() -> Path:
    """conf/ inside the installed package, else the checkout's."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def plan(verb: str, arguments: list[str]) -> Plan:
    """Check the arguments of a verb and every job they make.

    Raises:
        UserError: an unknown key, group option or value, as typed, with the nearest valid one.
    """
    register_schema(verb)
    flags = [a for a in arguments if a.startswith("-")]
    for flag in flags:
        if flag not in (*MULTIRUN, *SHOW):
            raise UserError(f"unknown flag {flag!r}: there are -m, --cfg=job and --help")
    if flags.count("--resolve") == len([flag for flag in flags if flag in SHOW]) > 0:
        raise UserError("--resolve needs --cfg=job beside it")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = [read(verb, a) for a in arguments if not a.startswith("-")]
        check_belonging(verb, [o.key_or_group for o in overrides])
        fixed = [line(o) for o in overrides if not o.is_sweep_override()]
        swept = [o for o in overrides if o.is_sweep_override()]
        if any(o.key_or_group == "hydra/sweeper" and o.value() == "optuna" for o in overrides):
            check_optuna()
        config = composed(verb, fixed, shell=True)
        multirun = bool({*flags} & {*MULTIRUN}) or mode_of(config) == "RunMode.MULTIRUN"
        if multirun and verb != "train":
            raise UserError(f"only train makes sweeps (-m), not {verb}")
        if multirun and {*flags} & {*SHOW}:
            raise UserError("--cfg shows one job: leave out -m and what makes a sweep")
        if swept and not multirun:
            raise several(verb, swept[0])
        if multirun:
            check_plugins(config)
        with open_dict(config):
            shell = config.pop("hydra")
        search = multirun and "optuna" in str(shell.sweeper.get("_target_"))
        grid = [fixed]
        if search:
            check_search(shell, swept)
            grid += [[*fixed, end] for one in swept for end in ends(one)]
        elif multirun:
            grid = jobs(shell, overrides)
        configs = [typed(config if job is fixed else composed(verb, job), job) for job in grid]
    sweep = sweep_folder(config) if multirun else None
    written = [line(override) for override in overrides]
    if sweep is not None and not any(o.key_or_group == "hydra.sweep.dir" for o in overrides):
        written.append(f"hydra.sweep.dir={quoted(str(sweep))}")
    if search:
        written = [*SEARCH, *written]
    shown = [flag for flag in flags if flag not in MULTIRUN]
    multi = ["-m"] if multirun else []
    arguments = [f"--config-name={verb}", *shown, *multi, *written]
    return Plan(arguments, conf_dir(), sweep, configs, search, shows=bool(shown))


def typed(config: DictConfig, overrides: Sequence[str] = ()) -> Any:
    """The typed, checked object of a composed job; the last that is seen of DictConfig.

    Args:
        overrides: of which it was composed: what they set, no folder of a base sets otherwise.
    """
    result = to_typed(config)
    expanded(result)
    if isinstance(getattr(result, "model", None), Model):
        given = {text.partition("=")[0].lstrip("+") for text in overrides}
        result.model = based(result, {key for key in given if key.partition(".")[0] == "model"})
    check(result)
    if type(result) in (TrainConfig, PretrainConfig):  # what counts only needs no memory
        check_memory(result)
    return result


def mode_of(config: DictConfig) -> str:
    try:
        return str(config.hydra.mode)
    except OmegaConfBaseException as error:
        raise UserError(readable(error)) from None


def job_arguments(verb: str) -> list[str]:
    """Arguments that run the current job alone, also when it is one of a sweep."""
    return [f"--config-name={verb}", *HydraConfig.get().overrides.task, "hydra.mode=RUN"]


def read(verb: str, text: str) -> Override:
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
    override = parsed(f"{key}={quoted(value) if key in FREE_TEXT else value}")
    # A name like 2026_11 or 1e5 is no number: keep it as typed.
    if override is None or (kind is str and isinstance(override.value(), (bool, int, float))):
        again = escaped_keys(value) if kind is dict else literal(kind, value)
        override = parsed(f"{key}={again}") or parsed(f"{key}={quoted(value)}") or cannot_read(text)
    if kind == "group":
        for option in options_of(override):
            if option not in groups_of(verb)[key]:
                raise unknown(key, option, groups_of(verb)[key])
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


def kind_of(verb: str, key: str) -> Any:
    """What a key takes: "group" (an option's name), dict, list, str (any text), Any or None."""
    if key in groups_of(verb):
        return "group"
    leaves = dict(keys(SCHEMAS[verb]))
    for name, field in leaves.items():
        types = [getattr(t, "__origin__", t) for t in (field.type, *get_args(field.type))]
        if key == name:
            plain = str in types and not field.metadata["choices"]
            return next((t for t in (dict, list, Any) if t is types[0]), str if plain else None)
        if dict in types and key.startswith(f"{name}."):
            return dict
    inside = [name for name in leaves if name.startswith(f"{key}.")]
    if inside:
        raise UserError(f"{key} is a group of keys: set one of {', '.join(inside)}")
    error = str(unknown("key", key, [*leaves, *groups_of(verb)])).partition(" known:")[0]
    raise UserError(f"{error.rstrip(';')}; python -m loraexp {verb} --help lists the keys")


def check_belonging(verb: str, given: list[str]) -> None:
    """Keys of a group that is null by itself need an option of that group."""
    for field in fields(SCHEMAS[verb]):
        inside = [key for key in given if key.startswith(f"{field.name}.")]
        if inside and field.default is None and group_in(field.type) and field.name not in given:
            options = ", ".join(groups_of(verb)[field.name])
            raise UserError(f"{inside[0]} needs {field.name}=... beside it, one of {options}")


def several(verb: str, override: Override) -> UserError:
    key, values = override.key_or_group, line(override).partition("=")[2]
    ways = ["add -m to sweep over them"] if verb == "train" else []
    kind = kind_of(verb, key)
    if kind is Any and not values.startswith("["):
        ways.append(f"write {key}=[{values}] for one list")
    elif kind is str:
        ways.append(f"quote them for one text: {key}='\"{values}\"'")
    return UserError(f"{key} has several values: {', or '.join(ways) or 'give one'}")


def options_of(override: Override) -> list[str]:
    if override.is_sweep_override():
        return values(override)
    value = override.value()
    return ["null" if value is None else str(value)]


@cache
def groups_of(verb: str) -> dict[str, list[str]]:
    """The config groups of a verb and their options."""
    return {
        name: sorted(file.stem for file in (conf_dir() / name).glob("*.yaml"))
        for name in default_options(verb)
    }


@cache
def default_options(verb: str) -> dict[str, str | None]:
    """The config groups of a verb and the option of each that a plain run takes."""
    primary = OmegaConf.load(conf_dir() / f"{verb}.yaml")
    entries = [next(iter(e.items())) for e in primary.defaults if isinstance(e, DictConfig)]
    named = {str(name): option for name, option in entries}
    return {name: option for name, option in named.items() if not name.startswith("override ")}


def jobs(shell: DictConfig, overrides: list[Override]) -> list[list[str]]:
    """The overrides of every job of a grid sweep, as Hydra's basic sweeper will make them."""
    params = shell.sweeper.get("params") or {}
    given = [parsed(text) or cannot_read(text) for text in (f"{k}={v}" for k, v in params.items())]
    number = math.prod(len(values(one)) for one in [*given, *overrides] if one.is_sweep_override())
    if number > MOST_JOBS:
        raise UserError(f"the sweep has more than {MOST_JOBS:,} jobs: make several of it")
    grid = list(itertools.chain(*BasicSweeper.split_arguments([*given, *overrides], None)))
    if not grid:
        raise UserError("the sweep is empty: one of its keys has no value")
    return grid


def values(override: Override) -> list[str]:
    """What a key of a sweep takes one after the other, as typed; at most MOST_JOBS and one more."""
    if override.is_interval_sweep():
        raise UserError(f"{line(override)}: an interval is for a search: hydra/sweeper=optuna")
    try:
        return [*itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)]
    except (HydraException, ValueError, ArithmeticError) as error:
        raise UserError(f"{line(override)}: {readable(error)}") from None


def check_search(shell: DictConfig, swept: list[Override]) -> None:
    for name in ("n_trials", "n_jobs"):
        number = shell.sweeper.get(name)
        if not isinstance(number, int) or number < 1:
            raise UserError(f"hydra.sweeper.{name} must be at least 1, got {number}")
    for override in swept:
        between = override.value()
        if isinstance(between, IntervalSweep) and not ordered(between.start, between.end):
            raise UserError(f"{line(override)}: the first must not be above the second")


def ordered(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= high


def ends(override: Override) -> list[str]:
    """The values of a search's key that are checked beforehand: all that are listed, the ends of an
    interval; of real numbers the next to each end, for neither is drawn but by chance."""
    between = override.value()
    if not isinstance(between, IntervalSweep):
        found = values(override)
    elif isinstance(between.start, int) and isinstance(between.end, int):
        found = [str(between.start), str(between.end)]
    else:
        low, high = float(between.start or 0), float(between.end or 0)
        found = [repr(math.nextafter(low, high)), repr(math.nextafter(high, low))]
    return [f"{override.key_or_group}={value}" for value in found]


def sweep_folder(config: DictConfig) -> Path:
    """A new folder's name under the output folder; no other process gets the same."""
    return (
        Path(config.output_dir).expanduser()
        / "sweeps"
        / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{os.getpid()}"
    )
