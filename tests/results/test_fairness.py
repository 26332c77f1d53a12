"""The guard: every way in which a comparison is no evidence is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loraexp.records.record import Failure, Record
from loraexp.report.report import report
from loraexp.results.arm_keys import naming
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings
from loraexp.results.fairness import caveats, repeats

MakeRecord = Callable[..., Record]


def grid(make: MakeRecord, method: str, seeds: int = 3, **settings: Any) -> list[Record]:
    """Three learning rates, the middle one the best by validation."""
    found = []
    for factor in (0.3, 1.0, 3.0):
        for seed in range(seeds):
            made = make({"method": method, "optim.lr_factor": factor, "seed": seed, **settings})
            score = {**made.metrics["validation"], "accuracy": 0.98 if factor == 1 else 0.9}
            found.append(replace(made, metrics={**made.metrics, "validation": score}))
    return found


@pytest.fixture
def fair(make_record: MakeRecord) -> list[Record]:
    return grid(make_record, "lora")


def reasons(records: list[Record], *by: str) -> list[str]:
    names = naming(records, by or ["method"])
    return caveats(arms(records, names), names)


def elsewhere(records: list[Record], split: str = "d", **settings: Any) -> list[Record]:
    """The same runs on other texts."""
    return [
        replace(
            r,
            hashes={**r.hashes, "split": split * 64},
            config={**r.config, "data": {**r.config["data"], **settings}},
        )
        for r in records
    ]


def test_the_fair_one_has_none(make_record: MakeRecord, fair: list[Record]) -> None:
    assert reasons(fair + grid(make_record, "full")) == []


def test_other_data_is_no_setting_to_be_tuned_and_none_is_best(fair: list[Record]) -> None:
    mixed = fair + elsewhere(fair, name="sms_spam")
    found = findings(mixed, ["method"])
    assert found.table.header[:2] == ["method", "data.name"]
    at = found.table.header.index("verdict")
    assert [row[at] for row in found.table.rows] == ["not paired"] * 2
    assert any("not tested on the same texts" in note for note in found.notes)
    made = report({Path(str(i)): r for i, r in enumerate(mixed)}, ["method"])
    assert [section.title for section in made.sections] == ["sms_demo", "sms_spam"]
    assert all("are labelled rightly" in line for line in made.answer)


def test_a_file_that_changed_is_told_by_its_split(fair: list[Record]) -> None:
    mixed = fair + elsewhere(fair)
    assert naming(mixed, ["method"]) == ["method", "split"]
    assert "the runs were not tested on the same texts: the splits differ" in reasons(mixed)


def test_one_arm_over_several_splits_is_no_evidence_either(fair: list[Record]) -> None:
    (arm,) = arms(fair + elsewhere(fair), ["method"])
    assert caveats([arm], ["method"])


def changed(record: Record, group: str, **values: Any) -> Record:
    return replace(record, config={**record.config, group: {**record.config[group], **values}})


CHANGES: dict[str, Callable[[Record], Record]] = {
    "the arms were not given the same number of epochs": lambda r: changed(
        r, "trainer", max_epochs=9
    ),
    "the arms were not trained on the same number of texts": lambda r: replace(r, epochs=2),
    "the runs differ in trainer.keep": lambda r: changed(r, "trainer", keep="last"),
    "the runs do not share one base": lambda r: replace(r, hashes={**r.hashes, "base": "e"}),
    "the runs differ in precision": lambda r: replace(r, precision="fp32"),
    "the runs were made with torch 2.13.0 and 9": lambda r: replace(
        r, versions={**r.versions, "torch": "9"}
    ),
}


@pytest.mark.parametrize("reason", CHANGES)
@pytest.mark.parametrize("unchosen", [False, True])
def test_what_one_arm_has_otherwise_is_said(
    make_record: MakeRecord, fair: list[Record], reason: str, unchosen: bool
) -> None:
    """Also where only a setting that validation did not choose is concerned."""
    other = [
        CHANGES[reason](r) if not unchosen or r.config["optim"]["lr_factor"] == 0.3 else r
        for r in grid(make_record, "full")
    ]
    assert reasons(fair + other) == [reason]


def test_batches_of_another_size_are_the_same_budget(
    make_record: MakeRecord, fair: list[Record]
) -> None:
    other = [replace(r, steps=198) for r in grid(make_record, "full", **{"data.batch_size": 16})]
    assert reasons(fair + other) == []


def test_seeds_are_counted_in_every_setting(make_record: MakeRecord, fair: list[Record]) -> None:
    assert reasons(fair + grid(make_record, "full")[1:]) == [
        "not every setting has the same seeds",
        "the arms do not have the same number of runs",
    ]


@pytest.mark.parametrize("key", ["optim.lr", "optim.lr_factor"])
def test_rows_of_single_rates_are_chosen_on_test(fair: list[Record], key: str) -> None:
    mixed = [changed(r, "optim", lr=r.config["optim"]["lr_factor"]) for r in fair]
    assert reasons(mixed, key) == [
        "rows are single learning rates; the best of them is chosen on test texts"
    ]


def test_repeats_are_the_most_of_any_run_and_none_is_said_too(fair: list[Record]) -> None:
    none = [replace(r, data={**r.data, "repeats": {"test": 0}}) for r in fair]
    assert repeats(arms(none, ["method"])) == "0 of 300 test texts stand verbatim in train"
    none[-1] = replace(none[-1], data={**none[-1].data, "repeats": {"test": 37}})
    assert str(repeats(arms(none, ["method"]))).startswith("37 of 300")


def test_an_arm_that_only_failed_is_an_empty_row(
    make_record: MakeRecord, fair: list[Record]
) -> None:
    config = make_record({"method": "dora"}).config
    found = findings(
        fair, ["method"], beside=Beside([Failure("a-run", config, "the loss is nan", "")])
    )
    assert [row[0] for row in found.table.rows] == ["dora", "lora"]
    assert found.table.rows[0][1:] == [None] * 11 + ["failed"]
    assert found.notes[-1] == "1 job failed: a-run: the loss is nan."
