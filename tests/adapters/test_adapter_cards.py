"""A card that was changed, forged or cut is refused with the field, and so is a file elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from saved import fresh

from loraexp.adapters.adapter_files import (
    CARD,
    FIELDS,
    TENSORS,
    card_text,
    json_hash,
    load_adapter,
    read_card,
)
from loraexp.config.schema import Model
from loraexp.errors import UserError


def forge(folder: Path, without: str = "", **fields: Any) -> None:
    """Other fields, or one less, with digests that fit."""
    card = {**json.loads((folder / CARD).read_text()), **fields}
    card = {field: value for field, value in card.items() if field not in (without, "digests")}
    card["digests"] = {field: json_hash(value) for field, value in card.items()}
    (folder / CARD).write_text(card_text(card))


@pytest.mark.parametrize("field", FIELDS)
def test_a_forged_card_without_a_field_or_with_one_of_another_type_is_refused(
    folder: Path, field: str
) -> None:
    forge(folder, **{field: 1.5})
    with pytest.raises(UserError, match=f"{CARD} is damaged: {field} is no "):
        read_card(folder)
    forge(folder, without=field)
    with pytest.raises(UserError, match=f"{CARD} is damaged: {field} is missing"):
        read_card(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"method"', ' "method"'),
        ("\n", "\r\n"),
        ('"method": "lora"', '"method": "dora",\n  "method": "lora"'),
        ('"lora"', '"l\\u006fra"'),
    ],
    ids=["space", "line ends", "a field twice", "escape"],
)
def test_a_card_of_the_same_content_in_other_bytes_is_refused(
    folder: Path, old: str, new: str
) -> None:
    text = (folder / CARD).read_text()
    assert json.loads(text.replace(old, new)) == json.loads(text)
    (folder / CARD).write_bytes(text.replace(old, new).encode())
    with pytest.raises(UserError, match=f"{CARD} is not as it was written"):
        read_card(folder)


def test_any_other_byte_in_place_of_one_of_either_file_is_refused(
    folder: Path, tiny: Model
) -> None:
    """At every space, and at places all over; the header's padding is among them."""
    network = fresh(tiny)
    for name in (CARD, TENSORS):
        content = (folder / name).read_bytes()
        header = 8 + int.from_bytes(content[:8], "little") if name == TENSORS else len(content)
        spaces = [place for place in range(header) if content[place] in b" \n"]
        assert spaces
        for place in {*spaces[:: max(1, len(spaces) // 40)], *range(3, len(content), 997), 8}:
            for byte in b" \t\nx" if place < header else b"x":
                if content[place] == byte:
                    continue
                (folder / name).write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
                with pytest.raises(UserError, match=name):
                    load_adapter(network, folder)
        (folder / name).write_bytes(content)
    load_adapter(network, folder)


@pytest.mark.parametrize("name", [CARD, TENSORS])
def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(
    folder: Path, tiny: Model, name: str
) -> None:
    for target, refused in ((folder / f"own-{name}", False), (folder.parent / name, True)):
        (folder / name).rename(target)
        (folder / name).symlink_to(target)
        if refused:
            with pytest.raises(UserError, match=f"{name} leads out of its folder, to "):
                load_adapter(fresh(tiny), folder)
        else:
            load_adapter(fresh(tiny), folder)
        (folder / name).unlink()
        target.rename(folder / name)


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        (b'{"format": 2}', "is not of format 3"),
        (b"{}", "is not of format 3"),
        (b"[1]", "is not of format 3"),
        (b'{"format": 3', "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"format": NaN}', "is not of format 3"),
        (b"", "is damaged"),
        (b"\xff\xfe", "is damaged"),
    ],
)
def test_a_wrong_card_is_refused_by_name(folder: Path, card: bytes, problem: str) -> None:
    (folder / CARD).write_bytes(card)
    with pytest.raises(UserError, match=f"{CARD} {problem}"):
        read_card(folder)


def test_a_card_of_another_adapter_is_refused(folder: Path, tiny: Model) -> None:
    forge(folder, adapter_sha256="0" * 64)
    with pytest.raises(UserError, match="adapter_sha256 differs"):
        load_adapter(fresh(tiny), folder)
