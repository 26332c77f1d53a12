"""The sentence that a sweep ends with claims no more than its table does."""

from collections.abc import Callable
from typing import Any

import pytest

from loraexp.records.record import Failure, Record
from loraexp.results.beside import Beside
from loraexp.results.sentence import in_one_sentence

MakeRecord = Callable[..., Record]


@pytest.fixture
def run(make_record: MakeRecord) -> MakeRecord:
    def make(rank: int, seed: int, wrong: int, **changes: Any) -> Record:
        """Of 300 test texts it labels `wrong` wrongly, others with each seed."""
        at = {(17 * place + 31 * seed) % 300 for place in range(wrong)}
        true = [0] * 150 + [1] * 150
        predicted = [1 - label if place in at else label for place, label in enumerate(true)]
        test = make_record().metrics["test"] | {"accuracy": 1 - wrong / 300}
        settings = {"lora.rank": rank, "seed": seed} | changes.pop("settings", {})
        return make_record(
            settings,
            counts=make_record().counts | {"trainable": 1000 * rank},
            metrics=make_record().metrics | {"test": test},
            predictions={"test": {"true": true, "predicted": predicted}},
            **changes,
        )

    return make


def test_one_seed_each_gives_no_verdict(run: MakeRecord) -> None:
    records = [run(rank, 0, wrong) for rank, wrong in ((4, 15), (8, 18), (16, 90))]
    assert in_one_sentence(records, ["lora.rank"]) == (
        "No verdict from one seed each: rank 4, 8 and 16 label 70.0 to 95.0 % of 300 test texts "
        "rightly; the smallest is rank 4."
    )


def test_without_a_difference_the_smallest_is_named(run: MakeRecord) -> None:
    records = [run(rank, seed, 15 + seed) for rank in (8, 4) for seed in range(3)]
    said = in_one_sentence(records, ["lora.rank"])
    assert said == (
        "No difference found between rank 4 and 8; the smallest is rank 4 "
        "(3 seeds each, no evidence for the reasons above)."
    )


def test_what_is_worse_is_named_apart_from_what_is_tied(run: MakeRecord) -> None:
    wrongs = {1: 120, 4: 15, 8: 14}
    records = [run(rank, s, wrong + s % 2) for rank, wrong in wrongs.items() for s in range(3)]
    said = in_one_sentence(records, ["lora.rank"])
    assert said is not None
    assert said.startswith(
        "Rank 8 is best, and rank 1 is worse (p below 0.05), rank 4 not told apart from it; "
        "the smallest is rank 4 (3 seeds each"
    )


def test_data_sets_are_never_compared_with_each_other(run: MakeRecord) -> None:
    other = {"hashes": {"base": "b", "split": "d" * 64, "adapter": "a"}}
    records = [run(rank, 0, 15) for rank in (4, 8)]
    records += [run(r, 0, 30, settings={"data.name": "csv"}, **other) for r in (4, 8)]
    said = in_one_sentence(records, ["lora.rank", "data.name"])
    assert said == (
        "On sms_demo, no verdict from one seed each: rank 4 and 8 label 95.0 % of 300 test "
        "texts rightly; the smallest is rank 4; on csv, no verdict from one seed each: rank 4 and "
        "8 label 90.0 % of 300 test texts rightly; the smallest is rank 4."
    )
    assert in_one_sentence([records[0], records[2]], ["data.name"]) is None


def test_failed_jobs_are_no_part_of_it_and_that_is_said(run: MakeRecord) -> None:
    records = [run(rank, 0, 15) for rank in (4, 8)]
    failure = Failure("a", records[0].config, "no memory", "")
    said = in_one_sentence(records, ["lora.rank"], Beside(failures=[failure]))
    assert said is not None
    assert said.endswith("; 1 job failed and cannot be compared.")


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_one_arm_is_compared_with_nothing(seeds: int, run: MakeRecord) -> None:
    records = [run(8, seed, 15) for seed in range(seeds)]
    assert in_one_sentence(records, ["lora.rank"]) is None


def test_of_many_arms_the_number_is_said(run: MakeRecord) -> None:
    records = [run(rank, 0, 15) for rank in range(1, 9)]
    said = in_one_sentence(records, ["lora.rank"])
    assert said is not None
    assert ": 8 rows label 95.0 %" in said


def test_arms_of_several_keys_are_told_by_all(run: MakeRecord) -> None:
    records = [run(4, 0, 15), run(8, 0, 15, settings={"method": "dora"})]
    said = in_one_sentence(records, ["method", "lora.rank"])
    assert said is not None
    assert "(lora, rank 4) and (dora, rank 8) label" in said
