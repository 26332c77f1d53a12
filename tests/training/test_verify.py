"""Whatever is changed in a finished run, one byte or one field, is found and named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from loraexp.adapters.files import CARD, TENSORS, json_hash, tensors_hash
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config import TrainConfig
from loraexp.errors import UserError
from loraexp.training.naming import run_folder
from loraexp.training.run import train
from loraexp.training.verify import verify


@pytest.fixture
def run(small: TrainConfig) -> Path:
    train(small)
    return run_folder(small)


def off(run: Path) -> list[str]:
    return [check.field for check in verify(run) if check.off]


@pytest.mark.parametrize("method", METHODS)
def test_an_untouched_run_holds_what_it_says(small: TrainConfig, method: str) -> None:
    config = as_method(small, method)
    train(config)
    checks = list(verify(run_folder(config)))
    assert [check for check in checks if check.off or check.skipped] == []
    assert len(checks) >= 14


def card_of(run: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((run / "adapter" / CARD).read_text())
    return card


def rewrite(run: Path, card: dict[str, Any], digests: bool = False) -> None:
    """Put a changed card back, with fitting digests if a forger is to be played."""
    if digests:
        card["digests"] = {k: json_hash(v) for k, v in card.items() if k != "digests"}
    (run / "adapter" / CARD).write_text(json.dumps(card))


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, dict):
        key = next(iter(value))
        return {**value, key: changed(value[key])}
    if isinstance(value, list):
        return [changed(value[0]), *value[1:]]
    return f"{value}x" if isinstance(value, str) else value + 1


def test_every_changed_missing_or_added_field_of_the_card_is_named(run: Path) -> None:
    card = card_of(run)
    assert len(card) >= 14
    for field in card.keys() - {"format", "digests"}:
        for tampered in (
            {**card, field: changed(card[field])},
            {key: value for key, value in card.items() if key != field},
        ):
            rewrite(run, tampered)
            with pytest.raises(UserError, match=rf"{CARD}: {field} is not as it was written"):
                list(verify(run))
    rewrite(run, {**card, "extra": 1})
    with pytest.raises(UserError, match=rf"{CARD}: extra is not as it was written"):
        list(verify(run))
    rewrite(run, card)
    assert off(run) == []


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    name=st.sampled_from([CARD, TENSORS]),
)
def test_one_flipped_bit_anywhere_in_the_adapters_files_is_found(
    run: Path, place: float, bit: int, name: str
) -> None:
    file = run / "adapter" / name
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[int(place * len(content))] ^= 1 << bit
    if name == CARD and same_json(content, bytes(flipped)):
        return  # white space between two fields says nothing
    file.write_bytes(flipped)
    try:
        with pytest.raises(UserError):
            list(verify(run))
    finally:
        file.write_bytes(content)


def same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize(
    "field",
    [
        "base_sha256",
        "tokenizer_sha256",
        "split_sha256",
        "pad_id",
        "method",
        "pooling",
        "base",
        "golden",
    ],
)
def test_a_forged_field_is_found_by_computing_it_again(run: Path, field: str) -> None:
    card = card_of(run)
    if field == "golden":
        card["golden"]["logits"][3][1] += 0.01
    else:
        card[field] = changed(card[field])
    rewrite(run, card, digests=True)
    assert off(run)[0] == field


def test_forged_tensors_are_found_by_the_golden_logits_and_by_the_record(run: Path) -> None:
    file = run / "adapter" / TENSORS
    tensors = load_file(file)
    tensors["score.weight"] = tensors["score.weight"] * 1.01
    save_file(tensors, file)
    with pytest.raises(UserError, match="adapter_sha256 differs"):
        list(verify(run))
    rewrite(run, card_of(run) | {"adapter_sha256": tensors_hash(tensors)}, digests=True)
    assert off(run) == ["golden", "record: hashes.adapter"]


def test_a_record_of_another_run_is_found(run: Path, small: TrainConfig) -> None:
    small.seed = 1
    train(small)
    shutil.copy(run_folder(small) / "record.json", run / "record.json")
    assert off(run) == ["record: hashes.adapter", "record: config"]


def test_texts_that_cannot_be_read_any_more_are_skipped_with_the_reason(
    small: TrainConfig, tmp_path: Path
) -> None:
    file = tmp_path / "texts.csv"
    rows = [f"{word} {i},{label}" for i in range(20) for word, label in (("hi", "a"), ("win", "b"))]
    file.write_text("\n".join(["text,label", *rows]) + "\n")
    small.data.name, small.data.path, small.data.limit = "csv", str(file), None
    train(small)
    file.unlink()
    skipped = [check for check in verify(run_folder(small)) if check.skipped]
    assert [check.field for check in skipped] == ["split_sha256", "labels"]
    assert "no file" in str(skipped[0].skipped)
