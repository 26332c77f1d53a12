"""A record comes back as it was written; what is no whole record is one clear error."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from crafted import changed, leaves

from loraexp.errors import UserError
from loraexp.records.record import (
    FAILED,
    FILE,
    Failure,
    Record,
    is_failed,
    is_finished,
    read_failure,
    read_file,
    read_record,
    seal_holds,
)
from loraexp.records.typed_json import value_at

MakeRecord = Callable[..., Record]


@pytest.fixture
def written(make_record: MakeRecord, tmp_path: Path) -> Path:
    """The file of a written record."""
    make_record().write(tmp_path)
    return tmp_path / FILE


def test_a_record_comes_back_as_it_was_written(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record({"seed": 7, "lora.rank_pattern": {"v_proj": 4}}, name="naïve £ 😀")
    record.write(tmp_path)
    assert read_record(tmp_path) == record
    assert read_record(tmp_path) != make_record()


def test_equal_configs_are_checked_once_and_share_what_they_hold(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    for seed in (1, 2):
        make_record({"seed": seed}).write(tmp_path / str(seed))
    one, other = (read_record(tmp_path / str(seed)) for seed in (1, 2))
    assert (one.config["seed"], other.config["seed"]) == (1, 2)
    assert one.config["lora"] is other.config["lora"]
    file = tmp_path / "2" / FILE
    for wrong, said in (('"seed": true', "seed is no int"), ('"lora": 3', "lora is no dict")):
        key = wrong.partition(":")[0]
        content = json.loads(file.read_text())
        content["config"][key.strip('"')] = json.loads(wrong.partition(": ")[2])
        (tmp_path / "3").mkdir(exist_ok=True)
        (tmp_path / "3" / FILE).write_text(json.dumps(content))
        with pytest.raises(UserError, match=said):
            read_record(tmp_path / "3")


@pytest.mark.parametrize("wrong", [-1, True, 1.0, "1", None, 2**63])
def test_one_wrong_number_in_a_long_list_is_found_by_its_place(
    written: Path, wrong: object
) -> None:
    content = json.loads(written.read_text())
    content["predictions"]["test"]["predicted"][17] = wrong
    written.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"predictions\.test\.predicted\.17"):
        read_record(written.parent)


def test_scores_that_are_not_defined_and_numbers_keep_every_digit(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    scores = {"auroc": None, "accuracy": 0.1 + 0.2, "loss": 5e-324, "confusion": [[2, 0], [0, 1]]}
    scores |= {"n": 3, "f1": 1 / 3, "precision": None, "recall": 1}
    metrics = dict.fromkeys(("train", "validation", "test"), scores)
    test = {"test": {"true": [0, 0, 1], "predicted": [0, 0, 1]}}
    make_record(metrics=metrics, predictions=test, texts_per_second=None).write(tmp_path)
    assert read_record(tmp_path).metrics == metrics
    assert read_record(tmp_path).texts_per_second is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_not_written(
    make_record: MakeRecord, tmp_path: Path, number: float
) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        make_record(texts_per_second=number).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_record_leaves_the_old_one(make_record: MakeRecord, tmp_path: Path) -> None:
    make_record().write(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        make_record(texts_per_second=math.nan).write(tmp_path)
    assert read_record(tmp_path) == make_record()


def test_a_folder_is_finished_only_with_a_record(make_record: MakeRecord, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").touch()
    assert not is_finished(tmp_path)
    assert not is_finished(tmp_path / "missing")
    make_record().write(tmp_path)
    assert is_finished(tmp_path)


def test_a_folder_without_a_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run=.*: no finished run there \(record.json is missing"):
        read_record(tmp_path)


@pytest.mark.parametrize("change", [{"format": 1}, {"format": 4}, {"format": None}], ids=repr)
def test_another_format_is_refused(written: Path, change: dict[str, object]) -> None:
    written.write_text(json.dumps(json.loads(written.read_text()) | change))
    with pytest.raises(UserError, match=f"{FILE} is not of format 3"):
        read_record(written.parent)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'"text"', b"{'a': 1}"], ids=repr
)
def test_a_damaged_file_is_a_one_line_error_that_names_it(written: Path, content: bytes) -> None:
    written.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_record(written.parent)
    assert str(written) in str(error.value)
    assert "is damaged" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_record_cut_short_anywhere_is_refused(written: Path) -> None:
    content = written.read_bytes()
    for kept in range(0, len(content) - 2, 97):
        written.write_bytes(content[:kept])
        with pytest.raises(UserError, match="is damaged"):
            read_record(written.parent)


def test_a_record_of_before_is_read_and_kept_elsewhere_without_a_seal(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    make_record(format=2).write(tmp_path)
    assert "seal" not in json.loads((tmp_path / FILE).read_text())
    old = read_record(tmp_path)
    assert (old, old.seal, seal_holds(tmp_path)) == (make_record(format=2), "", None)
    make_record().write(tmp_path)
    assert seal_holds(tmp_path) is True


def test_the_ledgers_records_are_of_before_and_read() -> None:
    files = sorted((Path(__file__).parents[1] / "benchmarks/results/ledger").glob("*.json"))
    assert [read_file(file).format for file in files] == [2, 2, 2]


def test_the_seal_sees_every_leaf_and_the_kind_of_every_number(written: Path) -> None:
    content = json.loads(written.read_text())
    paths = [*leaves(content)]
    assert len(paths) > 120
    for path in paths:
        value = value_at(content, path)
        for other in (not value, None, float(value) if type(value) is int else f"{value}x"):
            if repr(other) == repr(value):
                continue
            written.write_text(json.dumps(changed(content, path, other)))
            with suppress(UserError):
                assert seal_holds(written.parent) is False, (path, other)
    written.write_text(json.dumps(content))
    assert seal_holds(written.parent) is True


def test_a_failure_comes_back_and_a_record_takes_its_place(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    config = make_record({"seed": 1}).config
    failure = Failure("a-0123abcd", config, "the loss is nan", "2026-11-23T19:02:03+00:00")
    failure.write(tmp_path)
    assert read_failure(tmp_path) == failure
    assert is_failed(tmp_path)
    assert not is_finished(tmp_path)
    make_record().write(tmp_path)
    assert not (tmp_path / FAILED).exists()
    assert not is_failed(tmp_path)


def test_a_damaged_failure_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FAILED).write_text('{"format": 2}')
    with pytest.raises(UserError, match=f"{FAILED} is damaged: name is missing"):
        read_failure(tmp_path)
