"""What of PEFT's settings and tensors has no counterpart here, or does not fit: refused by name."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor

from loraexp.config.schema import Model
from loraexp.errors import UserError
from loraexp.model.huggingface import LINEARS

DIMENSIONS = {"lora_A": 2, "lora_B": 2, "lora_magnitude_vector": 1}
# Settings that say where an adapter came from, or how it was trained, not what it computes.
NO_MATTER = {
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "target_modules", "exclude_modules", "lora_dropout", "fan_in_fan_out"),
    *("layers_to_transform", "layers_pattern", "megatron_config", "megatron_core"),
    *("eva_config", "qalora_group_size", "ensure_weight_tying", "runtime_config"),
}
UNDERSTOOD = {
    *("peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora"),
    *("bias", "init_lora_weights", "modules_to_save"),
}
# Starts that change the frozen weights, so that the adapter alone does not say what it computes.
EDITS_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuse what our branches cannot compute, by the name of the setting."""
    if settings.get("peft_type") != "LORA":
        raise UserError(f"{where}: peft_type {settings.get('peft_type')} is not LORA")
    start = str(settings.get("init_lora_weights", True)).lower()
    if start.startswith(EDITS_BASE):
        raise UserError(
            f"{where}: init_lora_weights={start} changes the base, so the adapter alone is not "
            "what was trained; save it with PEFT's path_initial_model_for_weight_conversion first"
        )
    if settings.get("bias", "none") != "none":
        raise UserError(f"{where}: bias={settings['bias']} trains biases of the base")
    kept = settings.get("modules_to_save") or []
    if not isinstance(kept, list) or any(name not in ("score", "classifier") for name in kept):
        raise UserError(
            f"{where}: modules_to_save={settings['modules_to_save']}: only the head can"
        )
    for name, value in settings.items():
        if name not in NO_MATTER | UNDERSTOOD and value:
            raise UserError(f"{where}: {name}={value} has no counterpart here")


def check_base(settings: Mapping[str, Any], model: Model, where: str) -> None:
    """Of a base from the hub the name must be the adapter's; a folder's may be any."""
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not name or model.weights != "hub":
        return
    if name.rstrip("/").rpartition("/")[2] != model.repo.rpartition("/")[2]:
        raise UserError(f"{where} was trained on {name}, not on model.repo={model.repo}")


def check_shapes(layers: Mapping[str, Mapping[str, Tensor]], where: str) -> None:
    for path, parts in layers.items():
        if not {"lora_A", "lora_B"} <= parts.keys():
            raise UserError(f"{where} is damaged: {path} lacks lora_A or lora_B")
        for kind, tensor in parts.items():
            if tensor.ndim != DIMENSIONS[kind]:
                raise UserError(f"{where} is damaged: {kind} of {path} has {tensor.ndim} axes")


def check_coverage(
    settings: Mapping[str, Any], layers: Collection[str], n_layer: int, where: str
) -> None:
    """Every layer that PEFT would adapt in a base of `n_layer` blocks has its tensors: an adapter
    of a smaller base lacks those of the last blocks."""
    try:
        missing = [path for path in expected(settings, n_layer) if path not in layers]
    except (TypeError, re.error) as error:
        raise UserError(f"{where} is damaged: target_modules or the like: {error}") from None
    if missing:
        raise UserError(
            f"{where} has nothing for {missing[0]} ({len(missing)} such layers), which its "
            f"target_modules name in a base of {n_layer} blocks"
        )


def expected(settings: Mapping[str, Any], n_layer: int) -> Iterator[str]:
    """Paths of the layers that PEFT's settings name; none if they name no targets."""
    targets, without = settings.get("target_modules"), settings.get("exclude_modules")
    blocks = settings.get("layers_to_transform")
    chosen = range(n_layer) if blocks is None else [blocks] if isinstance(blocks, int) else blocks
    for block in range(n_layer):
        for layer in LINEARS:
            path = f"h.{block}.{layer}"
            if block in chosen and named(path, targets) and not named(path, without):
                yield path


def named(path: str, targets: str | list[str] | None) -> bool:
    """As PEFT matches: a text is a regex for the whole path, a list has ends of it."""
    if not targets:
        return False
    full = f"transformer.{path}"
    if isinstance(targets, str):
        return targets == "all-linear" or re.fullmatch(targets, full) is not None
    return any(full == target or full.endswith(f".{target}") for target in targets)
