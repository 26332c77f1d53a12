"""Where the files of a base lie: on the hub, in a folder, in this package, or nowhere (random).

No torch here: the command line reads a folder's geometry too.
"""

import os
import re
from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from loraexp.config.schema import Model
from loraexp.errors import UserError
from loraexp.model.hub import hub_file, in_cache
from loraexp.model.huggingface import (
    CONFIG,
    TOKENIZER_FILES,
    VOCABULARY,
    WEIGHTS,
    check_geometry,
    geometry,
)

ASSETS = Path(__file__).parents[1] / "assets"
HELD_OUT = "held_out.txt"  # beside an embedded base: what it was not trained on
RUN = "run"  # as model.weights: the base lies in the run's own folder, wherever that is now
ELSEWHERE = ("hub", "embedded", "random", RUN)  # what model.weights says instead of a folder


def in_folder(model: Model) -> bool:
    """Does `model.weights` name a folder?"""
    return model.weights not in ELSEWHERE


def weights_file(model: Model) -> Path:
    """The file that holds a base's tensors; random ones are in none."""
    if model.weights == "hub":
        return hub_file(model, WEIGHTS)
    folder = embedded(model) if model.weights == "embedded" else Path(model.weights)
    if not (folder / WEIGHTS).is_file():
        pickled = " (a .bin file is a pickle and never opened)" if [*folder.glob("*.bin")] else ""
        raise UserError(f"model.weights={model.weights}: no {WEIGHTS} there{pickled}")
    return folder / WEIGHTS


def config_file(model: Model) -> Path:
    """The config.json of a base that has weights in a file."""
    if model.weights == "hub":
        return hub_file(model, CONFIG)
    return weights_file(model).parent / CONFIG


def embedded(model: Model) -> Path:
    """The folder of a base that the package brings along."""
    folders = {folder.name: folder for folder in ASSETS.iterdir() if folder.is_dir()}
    if model.name not in folders:
        raise UserError(
            f"model={model.name} is not embedded, only {', '.join(sorted(folders))} is; "
            "set model.weights to hub, random or a folder"
        )
    return folders[model.name]


def tokenizer_folder(model: Model) -> Path:
    """The folder of the base's tokenizer files: its own, LORAEXP_DATA_DIR's, or the hub's."""
    if model.weights == "embedded":
        return embedded(model)
    if in_folder(model):
        return weights_file(model).parent  # without them its tokenizer is of no use
    if folder := in_data_dir():
        return folder
    if model.weights == "hub":
        hub_file(model, WEIGHTS)  # first: without them its tokenizer is of no use
    return [hub_file(model, name) for name in reversed(VOCABULARY)][-1].parent


def in_data_dir() -> Path | None:
    """The folder of GPT-2's tokenizer in LORAEXP_DATA_DIR."""
    data_dir = os.environ.get("LORAEXP_DATA_DIR")
    folders = [Path(data_dir), Path(data_dir) / "gpt2_bpe"] if data_dir else []
    here = (f for f in folders if any((f / vocab).is_file() for vocab, _ in TOKENIZER_FILES))
    return next(here, None)


def at_hand(model: Model) -> bool:
    """Can the base be had without a network?"""
    if model.weights == "hub":
        return in_cache(model, WEIGHTS, CONFIG)
    return model.weights in ("random", "embedded") or (Path(model.weights) / WEIGHTS).is_file()


def tokenizer_at_hand(model: Model) -> bool:
    """Can the tokenizer be had without a network, where the base can?"""
    if model.tokenizer != "auto" or model.weights not in ("hub", "random"):
        return True
    return in_data_dir() is not None or in_cache(model, *VOCABULARY)


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
    own: dict[str, Any] = dict.fromkeys(("repo", "revision", "sha256"), "")
    own |= {**geometry(file), "tokenizer": "auto"}
    if model.tokenizer != "embedded" or "model.tokenizer" not in typed:  # that goes by the name
        own["name"] = named_after(Path(model.weights))
    for f in fields(Model):
        grouped = "model" in typed and f.name != "tokenizer"
        changed = getattr(model, f.name) != getattr(plain, f.name)
        if grouped or changed or f"model.{f.name}" in typed:
            own.pop(f.name, None)
    result = replace(model, **own)
    check_geometry(file, result)
    return result


def named_after(folder: Path) -> str:
    """A folder's name as part of another name."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "base"
