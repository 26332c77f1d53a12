"""The answer is one sentence with its interval, and says no more than the tests do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loraexp.records.record import Failure, Record
from loraexp.results.answer import answer, answers
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.paired import compare
from loraexp.stats.significance import t_interval

MakeRecord = Callable[..., Record]
N = 300


def run(make: MakeRecord, rank: int, right: np.ndarray, seed: int, **changes: Any) -> Record:
    made = make({"lora.rank": rank, "seed": seed}, **changes)
    true = [0] * N
    predicted = [0 if one else 1 for one in right]
    test = {**made.metrics["test"], "accuracy": float(np.mean(right))}
    return replace(
        made,
        metrics={**made.metrics, "test": test},
        predictions={"test": {"true": true, "predicted": predicted}},
        counts={**made.counts, "trainable": 1000 * rank},
    )


def said(make: MakeRecord, counts: dict[int, list[int]], baseline: int | None = None) -> str:
    """Of ranks by how many of 300 texts each of their seeds labels rightly."""
    records = [
        run(make, rank, np.arange(N) < right, seed)
        for rank, of_seeds in counts.items()
        for seed, right in enumerate(of_seeds)
    ]
    found = arms(records, ["lora.rank"])
    reference = next((arm for arm in found if arm.name == (baseline,)), None)
    against = compare(found, reference)
    return answer(found, ["lora.rank"], against, baseline is not None)


def test_equal_scores_are_no_difference_and_the_smallest_is_named(make_record: MakeRecord) -> None:
    for counts in ({8: [290], 1: [290]}, {8: [290] * 3, 1: [290] * 3}):
        assert said(make_record, counts).startswith(
            "No difference found; the smallest is rank 1: 96.7% of 300 test texts (95 % over the "
        )


def test_where_nothing_is_told_apart_the_smallest_and_the_highest_are_named(
    make_record: MakeRecord,
) -> None:
    low, high = (
        f"{end:.1%}" for end in t_interval([0.95, 285 / 300, 286 / 300]).ends or (0.0, 0.0)
    )
    assert said(make_record, {1: [285, 285, 286], 8: [287, 284, 288]}) == (
        f"No difference found; the smallest is rank 1: 95.1% of 300 test texts (95 % over 3 seeds: "
        f"{low} to {high}); the highest is rank 8, 95.4%."
    )


def test_the_best_is_named_if_all_others_are_worse(make_record: MakeRecord) -> None:
    sentence = said(make_record, {1: [200, 201, 202], 8: [290, 291, 289]})
    assert sentence.startswith("The best is rank 8: 96.7% of 300 test texts (95 % over 3 seeds: ")
    assert sentence.endswith("); all others are worse by more than chance.")


def test_the_smallest_of_those_that_are_not_told_apart_is_named(make_record: MakeRecord) -> None:
    counts = {1: [200, 201, 202], 8: [290, 289, 291], 64: [291, 290, 292]}
    assert said(make_record, counts).endswith(
        "not told apart from it: rank 8; the smallest of these is rank 8."
    )


@pytest.mark.parametrize("stuck", [True, False])
def test_a_row_whose_run_gives_all_texts_one_label_is_said_and_never_the_smallest(
    make_record: MakeRecord, stuck: bool
) -> None:
    records = [
        run(make_record, rank, np.arange(N) < right, seed)
        for rank, of_seeds in {1: [290, 151, 288], 8: [290, 288, 289], 64: [289, 290, 291]}.items()
        for seed, right in enumerate(of_seeds)
    ]
    confusion = [[0, 149], [0, 151]] if stuck else [[149, 0], [149, 2]]
    test = {**records[1].metrics["test"], "confusion": confusion}
    records[1] = replace(records[1], metrics={**records[1].metrics, "test": test})
    found = arms(records, ["lora.rank"])
    sentence = answer(found, ["lora.rank"], compare(found))
    assert f"the smallest is rank {8 if stuck else 1}: " in sentence
    told = " All test texts get one label from 1 of 3 seeds of rank 1."
    assert sentence.endswith(told) is stuck


def test_single_runs_are_said_to_be_chance(make_record: MakeRecord) -> None:
    sentence = said(make_record, {1: [280], 8: [290]})
    assert sentence.startswith("Most are right with rank 8: 96.7% of 300 test texts (95 % over the")
    assert sentence.endswith("; with one seed that may be chance.")


def test_a_baseline_is_what_the_others_are_held_against(make_record: MakeRecord) -> None:
    counts = {1: [200, 201, 202], 8: [250, 251, 252], 64: [290, 291, 292], 128: [251, 250, 252]}
    sentence = said(make_record, counts, baseline=8)
    assert sentence.startswith("The baseline, rank 8, has 83.7% of 300 test texts")
    assert sentence.endswith(
        "better than it: rank 64; worse: rank 1; not told apart from it: rank 128."
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_arm_is_a_share_with_its_interval(make_record: MakeRecord, seeds: int) -> None:
    over = {1: "over the texts: ", 3: "over 3 seeds: "}[seeds]
    sentence = said(make_record, {8: [290, 280, 270][:seeds]})
    assert f"of 300 test texts are labelled rightly (95 % {over}" in sentence


def test_data_sets_are_never_compared_with_each_other(make_record: MakeRecord) -> None:
    right, other = np.arange(N) < 290, {"base": "b", "split": "d" * 64, "adapter": "a"}
    records = [run(make_record, rank, right, 0) for rank in (4, 8)]
    csv = [run(make_record, rank, right, 0, hashes=other) for rank in (4, 8)]
    csv = [
        replace(one, config={**one.config, "data": {**one.config["data"], "name": "csv"}})
        for one in csv
    ]
    second, first = answers([*records, *csv], ["lora.rank", "data.name"])
    assert first.startswith("sms_demo: No difference found; the smallest is rank 4")
    assert second.startswith("csv: No difference found; the smallest is rank 4")
    assert first.endswith("; with one seed that may be chance.")
    assert answers([records[0], csv[0]], ["data.name"]) == []


def test_failed_jobs_are_no_part_of_it_and_that_is_said(make_record: MakeRecord) -> None:
    records = [run(make_record, rank, np.arange(N) < 290, 0) for rank in (4, 8)]
    failure = Failure("a", records[0].config, "no memory", "")
    *_, last = answers(records, ["lora.rank"], Beside(failures=[failure]))
    assert last == "1 job failed and cannot be compared."
    assert answers(records[:1], ["lora.rank"], Beside(failures=[failure])) == []
    assert answers([], ["lora.rank"]) == []


def test_of_equal_single_runs_each_is_named(make_record: MakeRecord) -> None:
    sentence = said(make_record, {1: [280], 4: [290], 8: [290]})
    assert sentence.startswith("Most are right with rank 4 (and as many with rank 8): 96.7% of 300")
