"""Whatever is changed in a finished run, one byte or one field, is found and named."""

import json
import shutil
from pathlib import Path

import pytest
from forging import card_of, changed, check_of, forged, found, leaves, off, rewrite, rounds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from loraexp.adapters.files import (
    CARD,
    FIELDS,
    TENSORS,
    file_hash,
    tensors_hash,
)
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config import TrainConfig
from loraexp.errors import UserError
from loraexp.training.naming import run_folder
from loraexp.training.run import train
from loraexp.training.verify import config_file, verify


@pytest.fixture
def run(small: TrainConfig) -> Path:
    train(small)
    return run_folder(small)


@pytest.mark.parametrize("method", METHODS)
def test_an_untouched_run_holds_what_it_says(small: TrainConfig, method: str) -> None:
    config = as_method(small, method)
    train(config)
    checks = list(verify(run_folder(config)))
    assert [check for check in checks if check.off or check.skipped] == []
    assert len(checks) >= 14


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
    file.write_bytes(flipped)
    try:
        with pytest.raises(UserError):
            list(verify(run))
    finally:
        file.write_bytes(content)


def test_every_forged_field_of_the_card_is_found_though_its_digests_fit(run: Path) -> None:
    """By computing it again, or by what else says the same."""
    card = card_of(run)
    assert {*FIELDS, "format", "digests"} == card.keys()
    for field in card.keys() - {"digests"}:
        rewrite(run, {**card, field: changed(card[field])}, digests=True)
        assert field in found(run) or (field == "config" and "method" in found(run)), field
    rewrite(run, {**card, "digests": changed(card["digests"])})
    assert "is not as it was written" in found(run)
    rewrite(run, card)
    assert found(run) == ""


def test_every_forged_key_of_the_cards_config_is_named(run: Path) -> None:
    card = card_of(run)
    keys = [*leaves(card["config"])]
    assert len(keys) >= 60
    for key in keys:
        check = config_file({"config": forged(card["config"], key)}, run / "config.yaml")
        assert str(check.off).startswith(f"{key} says ")
        assert str(check.off).count(" says ") == 1  # not the whole config
    assert config_file(card, run / "config.yaml").off is None
    (run / "config.yaml").unlink()
    assert off(run) == ["config"]


def test_every_forged_field_of_the_record_is_found(run: Path) -> None:
    file = run / "record.json"
    record = json.loads(file.read_text())
    scores = ("n", "loss", "accuracy", "f1", "precision", "recall", "auroc", "confusion")
    fields = [
        *("labels", "config.seed", "config.lora.rank", "versions.torch", "precision"),
        *("counts.trainable", "counts.total", "counts.adapter_bytes", "data.n.test"),
        *(f"hashes.{part}" for part in ("adapter", "base", "tokenizer", "data", "split")),
        *(f"metrics.{split}.{score}" for split in ("validation", "test") for score in scores),
        *("predictions.test.true", "predictions.test.predicted"),
    ]
    for together in rounds(fields):
        content = record
        for field in together:
            content = forged(content, field)
        file.write_text(json.dumps(content))
        assert {*off(run)} == {check_of(field) for field in together}
    del record["hashes"]["data"]  # as records had it once
    file.write_text(json.dumps(record))
    assert off(run) == ["record: hashes.data"]


def test_cards_that_would_crash_a_reader_are_one_clear_line(run: Path) -> None:
    card = card_of(run)
    logits = card["golden"]["logits"]
    texts = card["golden"]["texts"]
    for field, value in (
        ("golden", {}),
        *(
            ("golden", {"texts": texts, "logits": wrong})
            for wrong in (None, logits[:7], [*logits, [0.0]], [[0.0]] * 8, ["ab"] * 8, [[]] * 8)
        ),
        ("precision", "fp64"),
        ("labels", []),
        ("labels", [1, 2]),
        ("config", {}),
        ("config", card["config"] | {"lora": None}),
        ("config", card["config"] | {"seed": "one"}),
        ("config", card["config"] | {"model": card["config"]["model"] | {"n_head": 3}}),
        ("config", card["config"] | {"model": card["config"]["model"] | {"weights": 5}}),
    ):
        rewrite(run, {**card, field: value}, digests=True)
        assert field in found(run) or "adapter.json is damaged" in found(run), value


def test_forged_tensors_are_found_by_the_golden_logits_and_by_the_record(run: Path) -> None:
    file = run / "adapter" / TENSORS
    tensors = load_file(file)
    tensors["score.weight"] = tensors["score.weight"] * 1.01
    save_file(tensors, file)
    with pytest.raises(UserError, match="adapter_sha256 differs"):
        list(verify(run))
    hashes = {"adapter_sha256": tensors_hash(tensors), "file_sha256": file_hash(file)}
    rewrite(run, card_of(run) | hashes, digests=True)
    assert off(run)[:2] == ["golden", "record: hashes.adapter"]


def test_a_record_of_another_run_is_found(run: Path, small: TrainConfig) -> None:
    small.seed = 1
    train(small)
    shutil.copy(run_folder(small) / "record.json", run / "record.json")
    found = off(run)
    assert found[:2] == ["record: hashes.adapter", "record: config"]
    (check,) = [check for check in verify(run) if check.field == "record: config"]
    assert check.off == "seed says 1, is 0"


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
    assert [check.field for check in skipped] == [
        *("data_sha256", "split_sha256", "labels"),
        *("record: metrics.validation", "record: metrics.test", "record: predictions"),
    ]
    assert "no file" in str(skipped[0].skipped)
