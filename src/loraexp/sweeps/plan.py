"""From what was typed to checked jobs: every mistake is found here, before any of them starts."""

import os
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from loraexp.config.compose import (
    OWN_SEARCH,
    check_plugins,
    composed,
    conf_dir,
    readable,
    register,
    to_typed,
)
from loraexp.config.flags import SEARCHPATH, read_flags
from loraexp.config.keys import Verb
from loraexp.config.overrides import check_belonging, line, look_in, read, several
from loraexp.config.own_data import named
from loraexp.config.pretraining import PretrainConfig
from loraexp.config.quoting import quoted
from loraexp.config.rules import check
from loraexp.config.schema import Data, Model, TrainConfig, Trainer
from loraexp.config.stored import expanded
from loraexp.config.sweep import SweepConfig
from loraexp.errors import UserError, cut
from loraexp.model.locate import RUN, in_folder, with_folder
from loraexp.runs.memory import check_memory
from loraexp.sweeps.grid import Protocol, protocol_of, with_grid
from loraexp.sweeps.grid_configs import grid_configs
from loraexp.tools.peft.note import exported_base

TRAIN = Verb("train", SweepConfig)


@dataclass(frozen=True)
class Plan:
    """The checked config of each job of what was typed.

    Args:
        jobs: of a search, whose jobs are not known beforehand, the ends of what it may draw.
        sweep: the folder of a sweep; None for a single job.
        arguments: the same for Hydra, where it does the work.
        by_hydra: Hydra launches the jobs, by a plugin or settings of its own.
        shows: Hydra prints the config, and nothing runs.
        protocol: how the jobs follow from one another, where it is no plain grid.
        overrides: what was typed, as it is to be typed again.
    """

    jobs: list[Any]
    sweep: Path | None
    arguments: list[str]
    by_hydra: bool = False
    shows: bool = False
    protocol: Protocol = Protocol()
    overrides: tuple[str, ...] = ()

    @property
    def baselines(self) -> bool:
        """Are rows without a network to be shown?"""
        return any(getattr(job, "baselines", False) for job in self.jobs)


def plan(verb: Verb, arguments: list[str]) -> Plan:
    """Check the arguments of a verb and every job they make.

    Raises:
        UserError: an unknown key, group option or value, as typed, with the nearest valid one.
    """
    register(verb)
    flags, arguments = read_flags(verb.spelled_out(arguments))
    look_in(flags.folders)
    shown = flags.shown
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = [read(verb, a) for a in arguments]
        fixed = [line(o) for o in overrides if not o.is_sweep_override()]
        config = composed_whole(verb, fixed, overrides)
        protocol = protocol_of(verb, config)
        multirun = flags.multirun or bool(protocol.asked)
        multirun = multirun or mode_of(config) == "RunMode.MULTIRUN"
        check_mode(verb, multirun, shown, overrides)
        if multirun:
            check_plugins(config)
        with open_dict(config):
            shell = config.pop("hydra")
        protocol, grid = with_grid(protocol, shell, overrides) if multirun else (protocol, [fixed])
        made = zip(grid_configs(verb, grid, fixed, config), grid, strict=True)
        configs = [checked(verb, one, job) for one, job in made]
    if protocol.seeds:
        most = range(protocol.seeds.seeds[-1])
        configs = [replace(one, seed=one.seed + at) for one in configs for at in most]
    sweep = sweep_folder(config.output_dir) if multirun else None
    written = [f"--config-name={verb.name}", *shown, *(["-m"] if multirun else [])]
    written += map(line, overrides)
    if multirun and not any(o.key_or_group == "hydra.sweep.dir" for o in overrides):
        written.append(f"hydra.sweep.dir={quoted(str(sweep))}")
    basic = all("basic" in str(shell[part].get("_target_")) for part in ("launcher", "sweeper"))
    hydras = [o for o in overrides if is_hydras(o.key_or_group)]
    given = tuple(arguments)
    by_hydra = verb.name == "train" and (bool(hydras) or not basic)
    for word, number in (("workers", protocol.workers), ("pack.width", protocol.width)):
        check_several(word, number or 1, multirun, by_hydra)
    if by_hydra and protocol.launcher.name != "local":
        raise UserError(f"launcher={protocol.launcher.name}: leave out what is Hydra's own")
    for one in configs if multirun else ():
        check_devices(protocol.workers or 1, one.trainer)
    if by_hydra and protocol.asked:
        typed_for_hydra = " ".join(map(line, hydras)) or "hydra/launcher"
        raise UserError(f"{protocol.asked} plans its own jobs: leave out {typed_for_hydra}")
    return Plan(configs, sweep, written, by_hydra, bool(shown), protocol, given)


def is_hydras(key: str) -> bool:
    """Is it a key by which Hydra launches the jobs? Where configs are looked for is none."""
    return re.split("[./]", key)[0] == "hydra" and key != SEARCHPATH


def check_several(word: str, number: int, multirun: bool, by_hydra: bool) -> None:
    if number > 1 and not multirun:
        raise UserError(f"{word}={number} is for a sweep: several values of a key, and -m")
    if number > 1 and by_hydra:
        raise UserError(f"{word}={number}: leave out hydra/launcher, which has its own")


def check_devices(workers: int, trainer: Trainer) -> None:
    if workers > 1 and trainer.devices > 1:
        raise UserError(f"workers must be 1 with trainer.devices={trainer.devices}, got {workers}")


def composed_whole(verb: Verb, fixed: list[str], overrides: Sequence[Override]) -> DictConfig:
    """The config of what all jobs share, with Hydra's own settings in it."""
    if any(o.key_or_group == "hydra/sweeper" and o.value() == "optuna" for o in overrides):
        raise UserError(OWN_SEARCH)
    try:
        return composed(verb.name, fixed, shell=True)
    except UserError:  # a key of a group that is null: Hydra does not say so
        check_belonging(verb, [o.key_or_group for o in overrides])
        raise


def check_mode(
    verb: Verb, multirun: bool, shown: Sequence[str], overrides: Sequence[Override]
) -> None:
    swept = [o for o in overrides if o.is_sweep_override()]
    if multirun and not getattr(verb.schema, "many", False):
        raise UserError(
            f"only train and verify_packed make sweeps (-m), plan tells of them, not {verb.name}"
        )
    if multirun and shown:
        raise UserError("--cfg shows one job: leave out -m and what makes a sweep")
    if swept and not multirun:
        raise several(verb, swept[0])


def typed(verb: Verb, config: DictConfig, overrides: Sequence[str] = ()) -> Any:
    """The typed, checked object of a composed job; the last that is seen of DictConfig."""
    return checked(verb, to_typed(config), overrides)


def checked(verb: Verb, result: Any, overrides: Sequence[str] = ()) -> Any:
    """The same of a typed object, which becomes it.

    Args:
        overrides: of which it was composed: what they set, no folder of a base sets otherwise.
    """
    expanded(result)
    if isinstance(getattr(result, "model", None), Model):
        given = {text.partition("=")[0].lstrip("+") for text in overrides}
        inside = {key for key in given if key.partition(".")[0] == "model"}
        try:
            result.model = based(verb, result, inside)
        except OSError as error:  # a name that is too long, a folder nobody may look into
            raise UserError(f"{error.strerror}: {cut(str(error.filename))}") from None
    if isinstance(getattr(result, "data", None), Data):
        result.data = named(result.data)
    check(result)
    if type(result) is SweepConfig:
        result = result.run()
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


def sweep_folder(output_dir: str) -> Path:
    """A new folder's name under the output folder; no other process gets the same."""
    return (
        Path(output_dir).expanduser()
        / "sweeps"
        / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{os.getpid()}"
    )
