"""A run's adapter in PEFT's format, for transformers' GPT-2: exact, or refused with the reason.

transformers keeps q, k and v in one layer, c_attn. Their three updates become one of it: the A's
below each other, the B's on a block diagonal, rows of zeros for what is not adapted.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from loraexp.adapters.branches.base import Adapted, adapted_layers
from loraexp.adapters.methods import find_method
from loraexp.adapters.targets import HEAD
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_base, save_tokenizer
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.huggingface import our_paths, their_path
from loraexp.model.weights import base_state
from loraexp.runs.load import LoadedModel, load_run
from loraexp.runtime.atomic import whole, write_whole
from loraexp.tools.merging import check_expressible
from loraexp.tools.peft.note import BASE, Note, note_model, readme
from loraexp.tools.write_run import check_free

PREFIX = "base_model.model"
Card = Callable[[LoadedModel, str], str]


def export(run: Path, out: Path, card: Card | None = None) -> int:
    """Write PEFT's two files, the tokenizer, a note for `import`, a README, and the base beside
    them unless it is on the hub; returns the number of the adapter's tensors.

    Args:
        card: makes a README for the hub of the run and the plain one; then no path of this machine
            is in the folder.

    Raises:
        UserError: a run that cannot be restored, a method that PEFT's LoRA cannot express, or an
            `out` that is taken.
    """
    check_free(out)
    model = load_run(run)
    config = model.config
    if (kind := find_method(config.method).peft) not in WRITERS:
        raise UserError(
            f"method={config.method} {kind}; python -m loraexp merge writes it as a checkpoint"
        )
    check_expressible(config)
    hub = config.model.weights == "hub"
    # peft looks for a path from where it runs, not from where the adapter lies: it takes a whole
    # one, and the README says how to open an export that was moved.
    beside = BASE if card else str((out / BASE).resolve())
    base = config.model.repo if hub else beside
    settings, tensors = to_peft(model.network, config.method, base)
    settings["revision"] = config.model.revision or None if hub else None
    save_tokenizer(model.tokenizer, model.max_length, out)
    if not hub:
        state = {name: tensor.float() for name, tensor in base_state(config.model).items()}
        save_base(state, config.model, model.tokenizer.pad, out / BASE, model.labels)
        save_tokenizer(model.tokenizer, model.max_length, out / BASE)
    note = Note(
        labels=[*model.labels],
        model=note_model(config.model),
        base_sha256=model.base_sha256,
        tokenizer_sha256=model.tokenizer.sha256,
        max_length=config.data.max_length,
        strip=config.data.strip,
        truncation=config.data.truncation,
    )
    note.write(out)
    opened = readme(config.model, model.tokenizer.pad, config.data.strip)
    write_whole(out / "README.md", card(model, opened) if card else opened)
    save_to(out, settings, tensors)
    return len(tensors)


def save_to(out: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    with whole(out / "adapter_model.safetensors") as partial:
        save_file({k: t.float() for k, t in tensors.items()}, partial, metadata={"format": "pt"})
    write_whole(out / "adapter_config.json", json.dumps(settings, indent=2) + "\n")


Layers = Mapping[str, Sequence[nn.Module]]


def to_peft(
    network: GPT2Classifier, method: str, base: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings, and the tensors under PEFT's names in float64.

    Raises:
        UserError: a network of which no layer but the head is adapted.
    """
    adapted = layers(network)
    if not adapted:
        raise UserError(
            "the head alone is adapted, which PEFT keeps whole, so there is nothing to export; "
            "python -m loraexp merge writes it as a checkpoint"
        )
    head = network.score  # as a target it is folded: PEFT keeps the head whole
    weight = (
        head.branch.merged(head.base.weight.double()) if isinstance(head, Adapted) else head.weight
    )
    kind = find_method(method).peft
    own, tensors = WRITERS[kind](adapted)
    settings = {
        "peft_type": kind,
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "fan_in_fan_out": True,
        "target_modules": [*adapted],
        "modules_to_save": ["score"],
        **own,
    }
    named = {f"{PREFIX}.{name}": tensor.contiguous() for name, tensor in tensors.items()}
    return settings, {f"{PREFIX}.score.weight": weight.detach().double(), **named}


def layers(network: GPT2Classifier) -> dict[str, list[nn.Module]]:
    """PEFT's layers that change, by their paths in transformers, in model order; each with ours
    that it consists of: q, k and v for c_attn, one for any other."""
    paths = dict.fromkeys(their_path(name) for name in adapted_layers(network) if name != HEAD)
    return {f"transformer.{path}": [*map(network.get_submodule, our_paths(path))] for path in paths}


def lora(layers: Layers) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and tensors of PEFT's LoRA, and of its DoRA where a branch has a magnitude."""
    tensors, ranks, alphas, magnitudes = {}, {}, {}, {}
    for name, parts in layers.items():
        A, B, scaling = fused(parts)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = A, B
        if any(isinstance(p, Adapted) and p.branch.magnitude() is not None for p in parts):
            magnitudes[f"{name}.lora_magnitude_vector"] = torch.cat([*map(magnitude_of, parts)])
        # A key of a pattern is a regular expression to PEFT.
        ranks[re.escape(name)], alphas[re.escape(name)] = len(A), scaling * len(A)
    first = next(iter(ranks))
    settings = {
        "r": ranks[first],
        "lora_alpha": alphas[first],
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "use_dora": bool(magnitudes),
        "bias": "none",
    }
    return settings, tensors | magnitudes


def fused(parts: Sequence[nn.Module]) -> tuple[Tensor, Tensor, float]:
    """A (k, in), B (out, k) in float64 and s of one layer that does what these do side by side."""
    factors = [p.branch.factors() if isinstance(p, Adapted) else None for p in parts]
    known = [own for own in factors if own]
    _, first, scaling = known[0]
    rows = first.new_zeros(len(first), 0)  # of what is not adapted: rows without a column
    # The ratio is 1 unless a pattern gives targets their own.
    blocks = [own[1] * (own[2] / scaling) if own else rows for own in factors]
    B = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return torch.cat([A for A, _, _ in known]), B, scaling


def magnitude_of(part: nn.Module) -> Tensor:
    """(out,): the trained one, or that of a weight that is not adapted."""
    if isinstance(part, Adapted) and (magnitude := part.branch.magnitude()) is not None:
        return magnitude
    return torch.linalg.vector_norm(part.get_parameter("weight").detach().double(), dim=1)


def ia3(layers: Layers) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and vectors of PEFT's IA3, with ones for the part of a layer that is not adapted."""
    inputs, tensors = [], {}
    for name, parts in layers.items():
        vectors = [
            p.branch.get_parameter("ia3_l").detach().double()
            if isinstance(p, Adapted)
            else torch.ones(len(p.get_parameter("weight")), dtype=torch.float64)
            for p in parts
        ]
        closes_mlp = name.endswith("mlp.c_proj")
        inputs += [name] if closes_mlp else []
        shape = (1, -1) if closes_mlp else (-1, 1)
        tensors[f"{name}.ia3_l"] = torch.cat(vectors).view(shape)
    return {"feedforward_modules": inputs}, tensors


# PEFT's types of adapter -> its settings and tensors for these layers.
WRITERS: dict[str, Callable[[Layers], tuple[dict[str, Any], dict[str, Tensor]]]] = {
    "LORA": lora,
    "IA3": ia3,
}
