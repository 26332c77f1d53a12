"""A run's folder for an adapter that was not trained here, but imported or computed from others."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mode

from torch import Tensor

from loraexp.adapters.adapter_files import save_adapter
from loraexp.adapters.inject import load_tensors, saved_tensors
from loraexp.config.schema import Lora, TrainConfig
from loraexp.data.splits import TextData
from loraexp.errors import UserError
from loraexp.runs.card import adapter_card
from loraexp.runs.load import build_model, placed
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.tensors import check_finite


def check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"out={out} is not empty; choose a new folder")


def write_run(
    out: Path,
    config: TrainConfig,
    labels: tuple[str, ...],
    tensors: Mapping[str, Tensor],
    data: TextData | None = None,
    hashes: Mapping[str, str] | None = None,
    *,
    made_by: str,
) -> None:
    """adapter/ and config.yaml, such that predict, eval, merge and export take the folder.

    Nothing is written before all of it is known.

    Args:
        data: what it was trained on, if that is known.
        hashes: what the card must say of base and tokenizer, if that is known.
        made_by: the verb, for the card.

    Raises:
        ValueError: tensors that are not those of `config`, another base or tokenizer, or logits
            that are not finite.
    """
    model = build_model(placed(config, out), labels)
    own = saved_tensors(model.network)
    load_tensors(own, tensors)
    check_finite(own)  # in float32 too
    card = adapter_card(replace(model, config=config), data, made_by)
    for field, digest in (hashes or {}).items():
        if card[field] != digest:
            part = field.removesuffix("_sha256")
            raise ValueError(
                f"was exported from another {part} (sha256 {digest[:12]}, here {card[field][:12]})"
            )
    if not all(math.isfinite(logit) for row in card["golden"]["logits"] for logit in row):
        raise ValueError("gives logits that are not finite")
    RunFolder(out).write_config(config)
    save_adapter(model.network, RunFolder(out).adapter, card)


def lora_of(ranks: Mapping[str, int], scalings: Mapping[str, float], n_layer: int) -> Lora:
    """The keys of `lora` for targets, by path, of these ranks and scalings."""
    rank, alpha = mode(ranks.values()), mode(scalings.values())
    return Lora(
        rank=rank,
        alpha=alpha,
        scaling="alpha",  # alpha / r again would round
        target_modules=short(list(ranks), n_layer),
        rank_pattern={target: r for target, r in ranks.items() if r != rank},
        alpha_pattern={target: s for target, s in scalings.items() if s != alpha},
    )


def short(paths: list[str], n_layer: int) -> list[str]:
    """Names of kinds for what every block has, whole paths for the rest."""
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kinds.setdefault(path.rpartition(".")[2], []).append(path)
    return [
        target for kind, own in kinds.items() for target in ([kind] if len(own) == n_layer else own)
    ]
