"""From what was typed to checked jobs: every mistake is found here, before any of them starts."""

import itertools
import math
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from loraexp.config.compose import (
    check_optuna,
    check_plugins,
    composed,
    conf_dir,
    readable,
    register,
    to_typed,
)
from loraexp.config.keys import Verb
from loraexp.config.overrides import (
    MOST_JOBS,
    cannot_read,
    check_belonging,
    line,
    parsed,
    read,
    several,
    values,
)
from loraexp.config.pretraining import PretrainConfig
from loraexp.config.quoting import quoted
from loraexp.config.rules import check
from loraexp.config.schema import Model, TrainConfig
from loraexp.config.stored import expanded
from loraexp.errors import UserError, cut
from loraexp.model.locate import RUN, in_folder, with_folder
from loraexp.runs.memory import check_memory
from loraexp.tools.peft.note import exported_base

MULTIRUN = ("-m", "--multirun")
# Of Optuna's sweeper: a seed, so that the same command tries the same and goes on where it was.
SEARCH = ("hydra.sweeper.sampler.seed=0", "hydra.sweeper.n_jobs=1")
TRAIN = Verb("train", TrainConfig)
SHOW = ("--cfg=job", "--cfg=hydra", "--cfg=all", "--resolve")  # Hydra's: print, run nothing


@dataclass(frozen=True)
class Plan:
    """The checked config of each job of what was typed.

    Args:
        jobs: of a search, whose jobs are not known beforehand, what they share.
        sweep: the folder of a sweep; None for a single job.
        arguments: the same for Hydra, where it does the work.
        by_hydra: Hydra launches the jobs, by a plugin or settings of its own, or searches.
        shows: Hydra prints the config, and nothing runs.
    """

    jobs: list[Any]
    sweep: Path | None
    arguments: list[str]
    by_hydra: bool = False
    search: bool = False
    shows: bool = False


def plan(verb: Verb, arguments: list[str]) -> Plan:
    """Check the arguments of a verb and every job they make.

    Raises:
        UserError: an unknown key, group option or value, as typed, with the nearest valid one.
    """
    register(verb)
    flags = [a for a in arguments if a.startswith("-")]
    for flag in flags:
        if flag not in (*MULTIRUN, *SHOW):
            raise UserError(f"unknown flag {flag!r}: there are -m, --cfg=job and --help")
    shown = [flag for flag in flags if flag in SHOW]
    if flags.count("--resolve") == len(shown) > 0:
        raise UserError("--resolve needs --cfg=job beside it")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = [read(verb, a) for a in arguments if not a.startswith("-")]
        check_belonging(verb, [o.key_or_group for o in overrides])
        fixed = [line(o) for o in overrides if not o.is_sweep_override()]
        swept = [o for o in overrides if o.is_sweep_override()]
        if any(o.key_or_group == "hydra/sweeper" and o.value() == "optuna" for o in overrides):
            check_optuna()
        config = composed(verb.name, fixed, shell=True)
        multirun = bool({*flags} & {*MULTIRUN}) or mode_of(config) == "RunMode.MULTIRUN"
        if multirun and verb.name != "train":
            raise UserError(f"only train makes sweeps (-m), not {verb.name}")
        if multirun and shown:
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
        configs = [
            typed(verb, config if job is fixed else composed(verb.name, job), job) for job in grid
        ]
    hydras = [o for o in overrides if o.key_or_group.partition("/")[0].partition(".")[0] == "hydra"]
    sweep = sweep_folder(config) if multirun else None
    written = [f"--config-name={verb.name}", *shown, *(["-m"] if multirun else [])]
    written += SEARCH if search else []
    written += map(line, overrides)
    if multirun and not any(o.key_or_group == "hydra.sweep.dir" for o in overrides):
        written.append(f"hydra.sweep.dir={quoted(str(sweep))}")
    basic = all("basic" in str(shell[part].get("_target_")) for part in ("launcher", "sweeper"))
    by_hydra = verb.name == "train" and (bool(hydras) or not basic)
    return Plan(configs, sweep, written, by_hydra, search, shows=bool(shown))


def typed(verb: Verb, config: DictConfig, overrides: Sequence[str] = ()) -> Any:
    """The typed, checked object of a composed job; the last that is seen of DictConfig.

    Args:
        overrides: of which it was composed: what they set, no folder of a base sets otherwise.
    """
    result = to_typed(config)
    expanded(result)
    if isinstance(getattr(result, "model", None), Model):
        given = {text.partition("=")[0].lstrip("+") for text in overrides}
        inside = {key for key in given if key.partition(".")[0] == "model"}
        try:
            result.model = based(verb, result, inside)
        except OSError as error:  # a name that is too long, a folder nobody may look into
            raise UserError(f"{error.strerror}: {cut(str(error.filename))}") from None
    check(result)
    if type(result) in (TrainConfig, PretrainConfig):  # what counts only needs no memory
        check_memory(result)
    return result


def based(verb: Verb, config: Any, given: Collection[str]) -> Model:
    """The model of a config, with what the folder of its weights says, or an export to import.

    Args:
        given: keys of the model that were typed.

    Raises:
        UserError: a folder that contradicts them, or is damaged.
    """
    model: Model = config.model
    own = exported_base(Path(config.peft)) if verb.name == "import" else None
    if own and not given:
        return own
    if model.weights == RUN:
        raise UserError(
            f"model.weights={RUN} is what merge writes of a folder that holds both base and run; "
            f"name the folder itself, or ./{RUN} if it is called so"
        )
    if not in_folder(model):
        return model
    plain: Any = OmegaConf.to_object(by_itself(verb.name).model)
    return with_folder(model, plain, given)


@cache
def by_itself(verb: str) -> DictConfig:
    """What a verb is composed to where nothing is typed."""
    return composed(verb, [])


def mode_of(config: DictConfig) -> str:
    try:
        return str(config.hydra.mode)
    except OmegaConfBaseException as error:
        raise UserError(readable(error)) from None


def jobs(shell: DictConfig, overrides: list[Override]) -> list[list[str]]:
    """The overrides of every job of a grid sweep, in the order of Hydra's basic sweeper."""
    params = shell.sweeper.get("params") or {}
    given = [parsed(text) or cannot_read(text) for text in (f"{k}={v}" for k, v in params.items())]
    axes: dict[str, list[str]] = {}  # what is set twice has its last value
    for one in [*given, *overrides]:
        key = one.get_key_element()
        found = values(one) if one.is_sweep_override() else [one.get_value_element_as_str()]
        axes[key] = [f"{key}={value}" for value in found]
    if math.prod(map(len, axes.values())) > MOST_JOBS:
        raise UserError(f"the sweep has more than {MOST_JOBS:,} jobs: make several of it")
    if not all(axes.values()):
        raise UserError("the sweep is empty: one of its keys has no value")
    return [[*job] for job in itertools.product(*axes.values())]


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
