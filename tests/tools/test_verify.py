"""Whatever is changed in a finished run, one byte or one field, is found and named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from crafted import GONE, leaves
from crafted import changed as with_value
from each_method import each_method
from forging import (
    card_of,
    changed,
    check_of,
    forged,
    found,
    off,
    record_of,
    reseal,
    rewrite,
    rounds,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small import trained

from loraexp.adapters.adapter_files import CARD, FIELDS, LATER, TENSORS
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import FILE
from loraexp.records.record_types import SPLITS
from loraexp.records.typed_json import value_at as at
from loraexp.runtime.atomic import file_hash
from loraexp.runtime.tensors import tensors_hash
from loraexp.tools.checks import same
from loraexp.tools.verification import config_file, verify


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.mark.parametrize("method", each_method())
def test_an_untouched_run_holds_what_it_says(small: TrainConfig, method: str) -> None:
    config = as_method(small, method)
    trained(config)
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
    assert {*FIELDS, *LATER, "format", "digests"} - {"init_from"} == card.keys()
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


SCORES = ("loss", "accuracy", "f1", "precision", "recall", "auroc")


def test_every_forged_field_of_the_record_is_found_though_its_seal_fits(run: Path) -> None:
    """By computing it again, or by what else says the same."""
    record = record_of(run)
    confusion, predicted = record["metrics"]["train"]["confusion"], record["predictions"]["test"]
    fields: dict[str, Any] = {
        **dict.fromkeys(("config.seed", "config.lora.rank", "versions.torch", "precision")),
        **dict.fromkeys(("counts.trainable", "counts.total", "counts.adapter_bytes")),
        **dict.fromkeys(f"hashes.{part}" for part in ("adapter", "base", "tokenizer", "split")),
        "hashes.data": GONE,
        "labels": ["ham", "spamx"],
        **dict.fromkeys(("data.n.test", "data.n.train", "data.repeats.test")),
        **{"data.warnings": ["none"], "data.full_length": GONE, "data.synthetic": False},
        "data.more": 1,
        **{f"metrics.{split}.{score}": 0.123 for split in SPLITS for score in SCORES},
        **{f"metrics.{split}.confusion": confusion[::-1] for split in SPLITS},
        "metrics.train.more": 1,
        "predictions.test.true": predicted["true"][::-1],
        "predictions.test.predicted": [1 - one for one in predicted["predicted"]],
        **{"mistakes": record["mistakes"][1:], "epochs": 5, "best_epoch": 3, "steps": 7},
    }
    for together in rounds([*fields]):
        content = record
        for field in together:
            value = fields[field] if fields[field] is not None else changed(at(record, field))
            content = with_value(content, field, value)
        reseal(run, content)
        assert {*off(run)} == {check_of(field) for field in together}
    reseal(run, record)
    assert off(run) == []


def test_a_mistake_that_is_none_is_found(run: Path) -> None:
    record = record_of(run)
    first, *others = record["mistakes"]
    for forged_one in ({"text": "another"}, {"predicted": first["true"]}, {"chance": 0.123}):
        reseal(run, {**record, "mistakes": [first | forged_one, *others]})
        assert off(run) == ["record: mistakes"]


def test_what_cannot_be_computed_again_is_sealed(run: Path) -> None:
    record = record_of(run)
    for field, value in (
        *(("seconds.total", 1.0), ("device", "a better one"), ("peak_memory_bytes", 1)),
        *(("texts_per_second", 1e6), ("finished", "1970-01-01"), ("git_commit", "a" * 40)),
        *(("name", "another"), ("data.note", "a note"), ("config.data.dedupe", 0)),
    ):
        (run / FILE).write_text(json.dumps(with_value(record, field, value)))
        assert "record: seal" in found(run) or "config.data.dedupe is no bool" in found(run), field


def test_a_record_of_before_is_checked_as_it_was_and_told_from_a_sealed_one(run: Path) -> None:
    record = record_of(run)
    old = {key: value for key, value in record.items() if key != "seal"} | {"format": 2}
    old = with_value(old, "data.warnings", ["of before"])
    old = with_value(old, "metrics.train.accuracy", 0.123)  # perhaps of other texts
    (run / FILE).write_text(json.dumps(old))
    checks = list(verify(run))
    assert [check.field for check in checks if check.off] == []
    (seal,) = (check for check in checks if check.skipped)
    assert (seal.field, str(seal.skipped)[:17]) == ("record: seal", "older, not sealed")
    (run / FILE).write_text(json.dumps(with_value(old, "metrics.test.accuracy", 0.123)))
    assert off(run) == ["record: metrics.test"]


def test_a_record_that_is_gone_is_missed(run: Path) -> None:
    (run / FILE).unlink()
    assert off(run) == ["record"]
    card = {key: value for key, value in card_of(run).items() if key != "made_by"}
    rewrite(run, card, digests=True)  # as cards of before
    checks = list(verify(run))
    assert [check.field for check in checks if check.off] == []
    assert [check.field for check in checks if check.skipped] == ["versions", "precision"]
    rewrite(run, {**card, "made_by": "import"}, digests=True)
    assert off(run) == []


@pytest.mark.parametrize(
    "text",
    [
        *('!!int ""', "? [a]", "a: *b", "- " * 5000, "a: 1\n\x1bb: 2", "!!timestamp x", ""),
        "seed: 0",
    ],
    ids=repr,
)
def test_a_config_file_that_is_none_is_off(run: Path, text: str) -> None:
    (run / "config.yaml").write_text(text)
    check = config_file(card_of(run), run / "config.yaml")
    assert check.off
    assert check.off.isprintable()


def test_numbers_of_another_kind_differ() -> None:
    for said, now in ((0, False), (1, 1.0), ([0], [False]), ({"a": 1}, {"a": True})):
        assert same("field", said, now).off
        assert same("field", now, now).off is None


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
        ("labels", ["ham", "ham"]),
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


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_run_that_stopped_early_holds_what_it_says(small: TrainConfig, keep: str) -> None:
    small.optim.lr, small.trainer.patience, small.trainer.max_epochs = 1e-12, 1, 4
    small.trainer.keep, small.trainer.accumulate, small.trainer.limit_batches = keep, 2, 3
    trained(small)
    run = run_folder(small)
    assert record_of(run)["epochs"] == 2
    assert off(run) == []


def test_a_record_of_another_run_is_found(small: TrainConfig) -> None:
    trained(small)
    run, small.seed = run_folder(small), 1
    trained(small)
    shutil.copy(run_folder(small) / FILE, run / FILE)
    wrong = off(run)
    assert wrong[:2] == ["record: hashes.adapter", "record: config"]
    (check,) = [check for check in verify(run) if check.field == "record: config"]
    assert check.off == "seed says 1, is 0"


def test_texts_that_cannot_be_read_any_more_are_skipped_with_the_reason(
    small: TrainConfig, tmp_path: Path
) -> None:
    file = tmp_path / "texts.csv"
    rows = [f"{word} {i},{label}" for i in range(20) for word, label in (("hi", "a"), ("win", "b"))]
    file.write_text("\n".join(["text,label", *rows]) + "\n")
    small.data.name, small.data.path, small.data.limit = "csv", str(file), None
    trained(small)
    file.unlink()
    skipped = [check for check in verify(run_folder(small)) if check.skipped]
    assert [check.field for check in skipped] == [
        *("data_sha256", "split_sha256", "labels"),
        *("record: metrics.validation", "record: metrics.test"),
        *("record: predictions", "record: mistakes"),
    ]
    assert "no file" in str(skipped[0].skipped)
