"""A run's adapter in PEFT's format, for transformers' GPT-2: exact, or refused with the reason.

transformers keeps q, k and v in one layer, c_attn. Their three updates become one of it: the A's
below each other, the B's on a block diagonal, rows of zeros for what is not adapted.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from loraexp.adapters.branches import Adapted
from loraexp.adapters.methods import find_method
from loraexp.adapters.targets import HEAD
from loraexp.adapters.variants import Dora
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_base, save_tokenizer
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.model.huggingface import our_paths, their_path
from loraexp.model.weights import base_state
from loraexp.runs.load import Assembled, restore
from loraexp.runtime.atomic import whole, write_whole
from loraexp.tools.merging import check_expressible
from loraexp.tools.peft.note import BASE, Note, note_model, readme
from loraexp.tools.write_run import check_free

PREFIX = "base_model.model"


@dataclass(frozen=True)
class Update:
    """What one of PEFT's layers adds: s B A, and for DoRA the magnitude.

    Args:
        A: (k, in), B: (out, k), both float64.
        magnitude: (out,) or None.
    """

    A: Tensor
    B: Tensor
    scaling: float
    magnitude: Tensor | None


def export(run: Path, out: Path) -> int:
    """Write PEFT's two files, the tokenizer, a note for `import`, a README, and the base beside
    them unless it is on the hub; returns the number of the adapter's tensors.

    Raises:
        UserError: a run that cannot be restored, a method that PEFT's LoRA cannot express, or an
            `out` that is taken.
    """
    check_free(out)
    config, made = restore(run)
    if find_method(config.method).branch is None:
        raise UserError(
            f"method={config.method} trains tensors of the base, which no PEFT adapter holds; "
            "python -m loraexp merge writes it as a checkpoint"
        )
    check_expressible(config)
    model, hub = config.model, config.model.weights == "hub"
    # peft looks for a path from where it runs, not from where the adapter lies: it takes a whole
    # one, and the README says how to open an export that was moved.
    settings, tensors = to_peft(made.network, model.repo if hub else str((out / BASE).resolve()))
    settings["revision"] = model.revision or None if hub else None
    save_tokenizer(made.tokenizer, made.max_length, out)
    if not hub:
        state = {name: tensor.float() for name, tensor in base_state(model).items()}
        save_base(state, model, made.tokenizer.pad, out / BASE, made.labels)
        save_tokenizer(made.tokenizer, made.max_length, out / BASE)
    note(config, made).write(out)
    write_whole(out / "README.md", readme(config.model, made.tokenizer.pad, config.data.strip))
    save_to(out, settings, tensors)
    return len(tensors)


def note(config: TrainConfig, made: Assembled) -> Note:
    return Note(
        labels=list(made.labels),
        model=note_model(config.model),
        base_sha256=made.base_sha256,
        tokenizer_sha256=made.tokenizer.sha256,
        max_length=config.data.max_length,
        strip=config.data.strip,
    )


def save_to(out: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    with whole(out / "adapter_model.safetensors") as partial:
        save_file({k: t.float() for k, t in tensors.items()}, partial, metadata={"format": "pt"})
    write_whole(out / "adapter_config.json", json.dumps(settings, indent=2) + "\n")


def to_peft(network: GPT2Classifier, base: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings, and the tensors under PEFT's names in float64.

    Raises:
        UserError: a network of which no layer but the head is adapted.
    """
    found = updates(network)
    if not found:
        raise UserError(
            "the head alone is adapted, which PEFT keeps whole, so there is nothing to export; "
            "python -m loraexp merge writes it as a checkpoint"
        )
    head = network.score  # as a target it is folded: PEFT keeps the head whole
    weight = (
        head.branch.merged(head.base.weight.double()) if isinstance(head, Adapted) else head.weight
    )
    tensors = {f"{PREFIX}.score.weight": weight.detach().double()}
    ranks, alphas = {}, {}
    for path, update in found.items():
        name = f"transformer.{path}"
        tensors[f"{PREFIX}.{name}.lora_A.weight"] = update.A.contiguous()
        tensors[f"{PREFIX}.{name}.lora_B.weight"] = update.B.contiguous()
        if update.magnitude is not None:
            tensors[f"{PREFIX}.{name}.lora_magnitude_vector"] = update.magnitude
        # A key of a pattern is a regular expression to PEFT.
        ranks[re.escape(name)] = len(update.A)
        alphas[re.escape(name)] = update.scaling * len(update.A)
    first = next(iter(ranks))
    settings = {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": ranks[first],
        "lora_alpha": alphas[first],
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "use_dora": any(update.magnitude is not None for update in found.values()),
        "fan_in_fan_out": True,
        "bias": "none",
        "target_modules": [f"transformer.{path}" for path in found],
        "modules_to_save": ["score"],
    }
    return settings, tensors


def updates(network: GPT2Classifier) -> dict[str, Update]:
    """PEFT's layers that change, by their paths, in model order."""
    found: dict[str, Update] = {}
    for name, module in network.named_modules():
        if not isinstance(module, Adapted) or name == HEAD:
            continue
        path = their_path(name)
        ours = our_paths(path)
        if len(ours) == 1:
            found[path] = update_of(module)
        elif path not in found:
            found[path] = fused([network.get_submodule(own) for own in ours])
    return found


def update_of(module: Adapted) -> Update:
    branch = module.branch
    A, B, scaling = branch.factors()
    magnitude = branch.lora_magnitude_vector if isinstance(branch, Dora) else None
    return Update(A, B, scaling, None if magnitude is None else magnitude.detach().double())


def fused(projections: list[torch.nn.Module]) -> Update:
    """q, k and v as one layer of three times the width."""
    parts = [update_of(p) if isinstance(p, Adapted) else None for p in projections]
    known = [part for part in parts if part is not None]
    scaling = known[0].scaling
    d = known[0].B.shape[0]
    B = torch.zeros(len(parts) * d, sum(len(part.A) for part in known), dtype=torch.float64)
    column = 0
    for row, part in enumerate(parts):
        if part is not None:
            width = part.B.shape[1]
            ratio = part.scaling / scaling  # 1 unless a pattern gives targets their own
            B[row * d : (row + 1) * d, column : column + width] = part.B * ratio
            column += width
    magnitude = None
    if any(part.magnitude is not None for part in known):
        magnitude = torch.cat(
            [magnitude_of(p, part) for p, part in zip(projections, parts, strict=True)]
        )
    return Update(torch.cat([part.A for part in known]), B, scaling, magnitude)


def magnitude_of(projection: torch.nn.Module, part: Update | None) -> Tensor:
    """(d,): the trained one, or that of a weight that is not adapted."""
    if part is not None and part.magnitude is not None:
        return part.magnitude
    weight = projection.get_parameter("weight").detach().double()
    return torch.linalg.vector_norm(weight, dim=1)
