"""An adapter on disk: a folder with adapter_model.safetensors and adapter.json."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loraexp.adapters.inject import check_tensors, load_tensors, saved_tensors
from loraexp.atomic import whole, write_whole
from loraexp.errors import UserError

TENSORS, CARD = "adapter_model.safetensors", "adapter.json"
FORMAT = 2


def save_adapter(network: nn.Module, folder: Path, card: Mapping[str, Any]) -> str:
    """Write the adapter in float32 with its card; returns its sha256 (see `tensors_hash`)."""
    tensors = {n: p.detach().float().cpu().contiguous() for n, p in saved_tensors(network).items()}
    digest = tensors_hash(tensors)
    with whole(folder / TENSORS) as partial:
        save_file(tensors, partial)
    card = {"format": FORMAT, "adapter_sha256": digest, **card}
    card["digests"] = {field: json_hash(value) for field, value in card.items()}
    write_whole(folder / CARD, json.dumps(card, indent=2, allow_nan=False) + "\n")
    return digest


def json_hash(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """What an adapter folder says of itself.

    Raises:
        UserError: no such folder, a damaged card, one of another format, or a field that is not as
            it was written.
    """
    file = folder / CARD
    if not file.is_file():
        raise UserError(f"no adapter in {folder}: {CARD} is missing")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is damaged: {error}") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise UserError(f"{file} is not of format {FORMAT}")
    digests = card.get("digests")
    written = digests if isinstance(digests, dict) else {}
    for field in sorted({*written, *card} - {"digests"}):
        if field not in card or written.get(field) != json_hash(card[field]):
            raise UserError(f"{file}: {field} is not as it was written")
    return card


def load_adapter(network: nn.Module, folder: Path) -> None:
    """Fill the injected `network` with the tensors of an adapter folder.

    Raises:
        UserError: a damaged file, or tensors that do not fit the network or the card.
    """
    fill(saved_tensors(network), folder)


def fill(own: Mapping[str, Tensor], folder: Path) -> None:
    """Copy the tensors of an adapter folder over `own`, of the same names and shapes.

    Raises:
        UserError: as load_adapter.
    """
    file = folder / TENSORS
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is missing or damaged: {error}") from None
    try:
        check_tensors(own, tensors)
    except ValueError as error:
        raise UserError(f"{file} {error}") from None
    if tensors_hash(tensors) != read_card(folder).get("adapter_sha256"):
        raise UserError(f"{file} is not what {CARD} describes: adapter_sha256 differs")
    load_tensors(own, tensors)


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes, dtypes and bytes, in the order of names."""
    digest = sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
