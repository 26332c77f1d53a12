"""Hydra's composition of conf/ and overrides into a typed object; what goes wrong is one line."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from loraexp.config.keys import Verb
from loraexp.errors import UserError, unknown

# Launchers and sweepers of others that Hydra's documentation names, and where they are.
PLUGINS = {
    "hydra/sweeper": {
        "ax": "hydra-ax-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
    },
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "ray": "hydra-ray-launcher",
        "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
    },
}
OWN_SEARCH = "hydra/sweeper=optuna: loraexp searches by itself: search.trials=20"


def conf_dir() -> Path:
    """conf/ inside the installed package, else the checkout's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"


def register(verb: Verb) -> None:
    """Tell Hydra a verb's keys, and the config of a verb that has no file in conf/: its keys and
    nothing else."""
    store = ConfigStore.instance()
    store.store(name=f"{verb.name}_schema", node=verb.schema)
    if not (conf_dir() / f"{verb.name}.yaml").is_file():
        quiet = [{f"override hydra/{kind}_logging": "none"} for kind in ("job", "hydra")]
        store.store(name=verb.name, node={"defaults": [f"{verb.name}_schema", "shell", *quiet]})


def composed(verb: str, overrides: list[str], shell: bool = False) -> DictConfig:
    """Hydra's config of a verb with overrides; with `shell`, Hydra's own settings in it too."""
    try:
        return compose(verb, overrides, return_hydra_config=shell)
    except MissingConfigException as error:
        raise missing(error) from None
    except HydraException as error:
        raise UserError(readable(error.__cause__ or error)) from None
    except (OmegaConfBaseException, ArithmeticError) as error:
        raise UserError(readable(error)) from None
    except (ValueError, AttributeError, TypeError, AssertionError) as error:
        # What is typed for Hydra's own keys, as hydra/launcher=null.
        raise UserError(readable(error)) from None


def missing(error: MissingConfigException) -> UserError:
    """Of an option there is not: the package that has it, or the nearest one."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if package := PLUGINS.get(group, {}).get(option):
        return UserError(f"{group}={option} needs: pip install {package}")
    if not error.options:
        return UserError(readable(error))
    return unknown(group, option, error.options)


def check_plugins(config: DictConfig) -> None:
    """Hydra's launcher and sweeper can be made as they are configured.

    Raises:
        UserError: one that is not installed, is no plugin of Hydra's, or cannot take its settings.
    """
    for part in ("launcher", "sweeper"):
        settings = config.hydra[part]
        try:
            Plugins.instance()._instantiate(settings)
        except ImportError as error:
            install = "is its package installed with pip?"
            raise UserError(f"hydra.{part}: {readable(error)}; {install}") from None
        except (RuntimeError, HydraException, AttributeError, AssertionError) as error:
            raise UserError(f"hydra.{part}: {readable(error.__cause__ or error)}") from None
        except OmegaConfBaseException:  # it refers to what only a job has
            continue


def to_typed(config: DictConfig) -> Any:
    """The dataclass of a composed config; its rules are not checked yet."""
    marks = OmegaConf.is_missing(config, "text")  # ??? is a text, to OmegaConf the lack of one
    if marks:
        config.text = ""
    try:
        result: Any = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is required: {error.full_key}=...") from None
    except OmegaConfBaseException as error:
        raise UserError(readable(error)) from None
    if marks:
        result.text = "???"
    with_names(result)
    return result


def with_names(config: Any) -> None:
    """Names in braces are texts: {1:3} is of what is called 1."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            with_names(value)
        elif isinstance(value, dict):
            named = {n if isinstance(n, str) else str(n).lower(): own for n, own in value.items()}
            setattr(config, f.name, named)


def readable(error: BaseException) -> str:
    """Hydra's and OmegaConf's messages on one line, the key first."""
    message, key = str(error) or type(error).__name__, getattr(error, "full_key", None)
    if not key and (named := re.search(r"^\s+full_key: (.+)$", message, re.MULTILINE)):
        key = named[1]
    if not key:
        return message.splitlines()[0]
    for pattern, words in MESSAGES.items():
        if match := re.search(pattern, message, re.DOTALL):
            return f"{key} {words}" + "".join(f", got {value!r}" for value in match.groups())
    return f"{key}: {message.splitlines()[0]}"


# What OmegaConf says of a value that does not fit, and how we put it.
MESSAGES = {
    r"Value '(.*)' of type .* could not be converted to Integer": "must be a whole number",
    r"Value '(.*)' of type .* could not be converted to Float": "must be a number",
    r"int too large to convert to float": "must be a finite number",
    r"Value '(.*)' is not a valid bool": "must be true or false",
    r"is not Optional": "cannot be null",
    r"Cannot assign .* to Dict": "must be like {v_proj:16}",
}
