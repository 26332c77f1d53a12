"""An adapter that PEFT trained on transformers' GPT-2, as ours: exact, or refused with reason."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loraexp.adapters.targets import HEAD
from loraexp.config.schema import Lora, Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.huggingface import our_paths
from loraexp.runtime.atomic import read_text, regular
from loraexp.tools.peft.note import read_note
from loraexp.tools.peft.refusals import check_base, check_coverage, check_settings, check_shapes
from loraexp.tools.write_run import check_free, lora_of, write_run

SETTINGS, TENSORS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
READABLE = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NAME = re.compile(
    r"base_model\.model\.(?:transformer\.)?(.+)\.(lora_A|lora_B)\.weight"
    r"|base_model\.model\.(?:transformer\.)?(.+)\.(lora_magnitude_vector)(?:\.weight)?"
)
HEADS = re.compile(r"base_model\.model\.(?:score|classifier)\.(?:modules_to_save\.)?weight")


@dataclass(frozen=True)
class Imported:
    """What an adapter of PEFT's is here.

    Args:
        lora: targets, ranks and scalings.
        tensors: of our branches and head, by their names in files, float64.
    """

    method: str
    classes: int
    lora: Lora
    tensors: dict[str, Tensor]


def import_adapter(peft: str, out: str, labels: Sequence[str], model: Model) -> int:
    """Write the adapter in `peft` as a run's folder; returns the number of its tensors.

    Raises:
        UserError: files that are missing or damaged, settings we have no counterpart of, a base it
            does not fit, or an `out` that is taken.
    """
    folder, target = Path(peft), Path(out)
    check_free(target)
    settings, tensors = read(folder)
    check_base(settings, model, str(folder))
    adapter = from_peft(settings, tensors, model.n_layer, str(folder))
    note = read_note(folder)
    named = labels or (note.labels if note else [])
    names = tuple(named or (f"LABEL_{i}" for i in range(adapter.classes)))
    if len(names) != adapter.classes:
        raise UserError(f"labels must be {adapter.classes} names, as many as classes, got {names}")
    trained = TrainConfig(method=adapter.method, lora=adapter.lora, model=model)
    trained.head.pooling, trained.trainer.precision = "last_token", "fp32"
    hashes: dict[str, str] = {}
    if note:
        trained.data.max_length, trained.data.strip = note.max_length, note.strip
        trained.data.truncation = note.truncation
        hashes = {part: getattr(note, part) for part in ("base_sha256", "tokenizer_sha256")}
    try:
        write_run(target, trained, names, adapter.tensors, hashes=hashes, made_by="import")
    except ValueError as error:
        base = settings.get("base_model_name_or_path")
        raise UserError(
            f"{folder} does not fit model={model.name}: it {error} (its base is {base!r})"
        ) from None
    return len(adapter.tensors)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and tensors of PEFT's two files.

    Raises:
        UserError: a file that is missing, damaged or outside the folder, or tensors that are no
            finite numbers.
    """
    if not (folder / TENSORS).is_file():
        pickled = (folder / PICKLE).is_file()
        why = f" ({PICKLE} is a pickle and never opened)" if pickled else ""
        raise UserError(f"peft={folder}: no {TENSORS} there{why}")
    try:
        settings = json.loads(read_text(folder, SETTINGS))
        tensors = load_file(regular(folder, TENSORS))
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise UserError(f"peft={folder} is damaged: {error}") from None
    if not isinstance(settings, dict):
        raise UserError(f"peft={folder} is damaged: {SETTINGS} is no object")
    for name, tensor in tensors.items():
        if tensor.dtype not in READABLE:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise UserError(f"peft={folder}: tensor {name} is {kind}, not a float of 16 to 64 bits")
        if not bool(tensor.float().isfinite().all()):
            raise UserError(f"peft={folder} is damaged: {name} is not finite in float32")
    return settings, tensors


def from_peft(
    settings: Mapping[str, Any], tensors: Mapping[str, Tensor], n_layer: int, where: str
) -> Imported:
    """PEFT's settings and tensors as ours.

    Raises:
        UserError: as import_adapter.
    """
    check_settings(settings, where)
    layers: dict[str, dict[str, Tensor]] = {}
    head = None
    for name, tensor in tensors.items():
        if HEADS.fullmatch(name):
            head = tensor.double()
        elif match := NAME.fullmatch(name):
            path, kind = match[1] or match[3], match[2] or match[4]
            layers.setdefault(path, {})[kind] = tensor.double()
        else:
            raise UserError(f"{where}: tensor {name} has no counterpart here")
    if not layers:
        raise UserError(f"{where}: there is no adapted layer in it")
    check_shapes(layers, where)
    check_coverage(settings, layers.keys(), n_layer, where)
    if head is None:
        raise UserError(f"{where}: there is no head (score.weight) in it; is task_type SEQ_CLS?")
    ours = {f"{HEAD}.weight": head}
    ranks: dict[str, int] = {}
    scalings: dict[str, float] = {}
    for path, parts in layers.items():
        rank, scaling = scaled(settings, path, where)
        if len(parts["lora_A"]) != rank or parts["lora_B"].shape[1] != rank:
            raise UserError(f"{where} is damaged: {path} has not the rank {rank} of its settings")
        targets = our_paths(path)
        for target, part in split(targets, parts) if len(targets) > 1 else [(targets[0], parts)]:
            ranks[target], scalings[target] = len(part["lora_A"]), scaling
            ours |= {f"{target}.{kind}": value for kind, value in part.items()}
    method = "dora" if settings.get("use_dora") else "lora"
    return Imported(method, len(head), lora_of(ranks, scalings, n_layer), ours)


def scaled(settings: Mapping[str, Any], path: str, where: str) -> tuple[int, float]:
    """Rank and scaling of a layer; a key of a pattern is a regex for the end of its path."""

    def looked_up(pattern: str, default: str) -> Any:
        for key, value in (settings.get(pattern) or {}).items():
            if re.fullmatch(rf"(.*\.)?({key})", f"transformer.{path}"):
                return value
        return settings[default]

    try:
        rank, alpha = looked_up("rank_pattern", "r"), looked_up("alpha_pattern", "lora_alpha")
        if type(rank) is not int or rank < 1:
            raise ValueError(f"a rank of {rank!r}")
        scaling = float(alpha / (rank**0.5 if settings.get("use_rslora") else rank))
        if not 0 < scaling < math.inf:
            raise ValueError(f"an alpha of {alpha!r}")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, re.error) as error:
        raise UserError(f"{where} is damaged: rank or alpha of {path}: {error}") from None
    return rank, scaling


def split(ours: Sequence[str], parts: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    """c_attn's update as one each of q, k and v: A is shared, B cut into three.

    Where a third of B is zero its projection is not adapted (unless all are, or a magnitude
    trains), and of ranks that only the others use it has none.
    """
    A = parts["lora_A"]
    thirds = parts["lora_B"].tensor_split(3)
    magnitudes = parts["lora_magnitude_vector"].tensor_split(3) if len(parts) == 3 else None
    fresh = not any(bool(B.any()) for B in thirds)
    projections = []
    for number, (name, B) in enumerate(zip(ours, thirds, strict=True)):
        used = B.any(0) if bool(B.any()) else torch.ones(len(A), dtype=torch.bool)
        if magnitudes is None and not fresh and not bool(B.any()):
            continue
        part = {"lora_A": A[used], "lora_B": B[:, used]}
        if magnitudes is not None:
            part["lora_magnitude_vector"] = magnitudes[number]
        projections.append((name, part))
    return projections
