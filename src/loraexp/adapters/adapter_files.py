"""An adapter on disk: a folder with adapter_model.safetensors and adapter.json."""

import json
from collections.abc import Mapping
from os.path import lexists
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loraexp.adapters.inject import check_tensors, load_tensors, saved_tensors
from loraexp.errors import UserError
from loraexp.runtime.atomic import file_hash, json_hash, read_text, regular, whole, write_whole
from loraexp.runtime.tensors import tensors_hash

TENSORS, CARD = "adapter_model.safetensors", "adapter.json"
FORMAT = 3
# What a run's card must say, and of which type: its readers ask for these without looking.
FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("adapter_sha256", "file_sha256", "base_sha256", "tokenizer_sha256"), (str,)),
    **dict.fromkeys(("data_sha256", "split_sha256"), (str, NoneType)),
    **dict.fromkeys(("method", "pooling", "precision", "base"), (str,)),
    **dict.fromkeys(("config", "versions", "golden"), (dict,)),
    "labels": (list,),
    "pad_id": (int,),
}
# What a card of today says besides; those of before do not.
LATER: dict[str, tuple[type, ...]] = {"made_by": (str,), "init_from": (dict,)}


def save_adapter(network: nn.Module, folder: Path, card: Mapping[str, Any]) -> str:
    """Write the adapter in float32 with its card; returns its sha256 (see `tensors_hash`)."""
    tensors = {n: p.detach().float().cpu().contiguous() for n, p in saved_tensors(network).items()}
    digest = tensors_hash(tensors)
    with whole(folder / TENSORS) as partial:
        save_file(tensors, partial)
        hashes = {"adapter_sha256": digest, "file_sha256": file_hash(partial)}
    content = {"format": FORMAT, **hashes, **card}
    content["digests"] = {field: json_hash(value) for field, value in content.items()}
    write_whole(folder / CARD, card_text(content))
    return digest


def card_text(card: Mapping[str, Any]) -> str:
    """The one text that a card is written as."""
    return json.dumps(card, indent=2, allow_nan=False) + "\n"


def read_card(folder: Path) -> dict[str, Any]:
    """What the adapter folder of a run says of itself.

    Raises:
        UserError: no such folder, a damaged card, one of another format, a field that is not as it
            was written, one that is missing or of another type, or a file outside the folder.
    """
    card = stored_card(folder)
    for field, kinds in (FIELDS | {name: LATER[name] for name in LATER if name in card}).items():
        if field not in card:
            raise UserError(f"{folder / CARD} is damaged: {field} is missing")
        if type(card[field]) not in kinds:
            raise UserError(f"{folder / CARD} is damaged: {field} is no {kinds[0].__name__}")
    labels = card["labels"]
    if not labels or {*map(type, labels)} != {str} or len({*labels}) < len(labels):
        raise UserError(f"{folder / CARD} is damaged: labels are no different names")
    return card


def stored_card(folder: Path) -> dict[str, Any]:
    """The card as it was written, whatever fields it has.

    Only the very bytes that save_adapter writes are one: a repeated field or another space would
    be a change that no digest of a field sees.
    """
    file = folder / CARD
    if not lexists(file):
        raise UserError(f"no adapter in {folder}: {CARD} is missing")
    try:
        text = read_text(folder, CARD)
        card = json.loads(text)
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            raise UserError(f"{file} is not of format {FORMAT}")
        digests = card.get("digests")
        written = digests if isinstance(digests, dict) else {}
        for field in sorted({*written, *card} - {"digests"}):
            if field not in card or written.get(field) != json_hash(card[field]):
                raise UserError(f"{file}: {field} is not as it was written")
        if text != card_text(card):
            raise UserError(f"{file} is not as it was written: spaces, or a field twice")
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
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
    file, card = folder / TENSORS, stored_card(folder)
    try:
        tensors = load_file(regular(folder, TENSORS))
        digest = file_hash(file)
    except (SafetensorError, OSError, KeyError) as error:  # KeyError: a dtype torch has not
        raise UserError(f"{file} is missing or damaged: {error}") from None
    # Before isfinite, which torch lacks for some dtypes.
    if other := sorted(name for name, t in tensors.items() if t.dtype != torch.float32):
        dtype = str(tensors[other[0]].dtype).removeprefix("torch.")
        raise UserError(f"{file} has a {dtype} {other[0]} where float32 belongs")
    try:
        check_tensors(own, tensors)
    except ValueError as error:
        raise UserError(f"{file} {error}") from None
    # The file's own hash sees its header too, where a space more changes no tensor.
    now = {"adapter_sha256": tensors_hash(tensors), "file_sha256": digest}
    for field, value in now.items():
        if value != card.get(field):
            raise UserError(f"{file} is not what {CARD} describes: {field} differs")
    load_tensors(own, tensors)
