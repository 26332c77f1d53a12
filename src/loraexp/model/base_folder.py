"""What a base's folder says of itself in its config.json, read without torch."""

import json
import re
from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from loraexp.config.schema import Model
from loraexp.errors import UserError

CONFIG = "config.json"
RUN = "run"  # as model.weights: the base lies in the run's own folder, wherever that is now
ELSEWHERE = ("hub", "embedded", "random", RUN)  # what model.weights says instead of a folder
# Settings of a Hugging Face config.json that our network has built in.
BUILT_IN = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
GEOMETRY = {
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "d_model",
    "n_positions": "context",
    "vocab_size": "vocab_size",
}


def in_folder(model: Model) -> bool:
    """Does `model.weights` name a folder?"""
    return model.weights not in ELSEWHERE


def with_folder(model: Model, plain: Model, typed: Collection[str]) -> Model:
    """A model of a folder's weights, with what was not typed as the folder has it: geometry,
    tokenizer and, of its own name, that of the model. Without a config.json there it is as given.

    Args:
        plain: the model where nothing is typed: what differs from it was set, if by an experiment.
        typed: keys as typed; of `model`, the group, all but the tokenizer is meant.

    Raises:
        UserError: a config.json that is damaged, or contradicts what was typed.
    """
    file = Path(model.weights) / CONFIG
    if not in_folder(model) or not file.is_file():
        return model
    found: dict[str, Any] = dict.fromkeys(("repo", "revision", "sha256"), "")
    found |= {**geometry(file), "tokenizer": "auto"}
    if model.tokenizer != "embedded" or "model.tokenizer" not in typed:  # that goes by the name
        found["name"] = named_after(Path(model.weights))
    for f in fields(Model):
        grouped = "model" in typed and f.name != "tokenizer"
        if (
            grouped
            or f"model.{f.name}" in typed
            or getattr(model, f.name) != getattr(plain, f.name)
        ):
            found.pop(f.name, None)
    result = replace(model, **found)
    check_geometry(file, result)
    return result


def named_after(folder: Path) -> str:
    """A folder's name as part of another name."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "base"


def geometry(config_file: Path) -> dict[str, Any]:
    """Our keys and what a config.json says of them; what it leaves out is as in GPT-2 124M."""
    config = read_config(config_file)
    return {ours: config.get(theirs, getattr(Model, ours)) for theirs, ours in GEOMETRY.items()}


def read_config(config_file: Path) -> dict[str, Any]:
    """
    Raises:
        UserError: a damaged file, or a network that is built in another way than ours.
    """
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{config_file} is damaged: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{config_file} is damaged: it is no object")
    for name, value in BUILT_IN.items():
        if config.get(name, value) != value:
            raise UserError(f"{config_file}: {name} must be {value}, got {config[name]}")
    return config


def check_geometry(config_file: Path, model: Model) -> None:
    if not config_file.is_file():
        raise UserError(f"model.weights={model.weights}: no {CONFIG} there")
    theirs = {ours: name for name, ours in GEOMETRY.items()}
    for ours, value in geometry(config_file).items():
        if value != getattr(model, ours):
            raise UserError(
                f"model.{ours} is {getattr(model, ours)}, but {config_file} says {theirs[ours]} "
                f"{value}; choose the model= that fits, or set model.{ours}={value}"
            )
