"""Runs on parts of the same train texts: rows of their own, tested against each other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.records.record import Record
from loraexp.report.chart import Lines
from loraexp.report.report import report
from loraexp.results.answer import answers
from loraexp.results.arm_keys import naming
from loraexp.results.comparison import findings

MakeRecord = Callable[..., Record]
SIZES = (16, 64, None)


def curve(make: MakeRecord, seeds: int = 3) -> list[Record]:
    """The whole and two parts of it, all as good."""
    found = []
    for n in SIZES:
        for seed in range(seeds):
            run = make({"data.per_class": n, "seed": seed})
            data = {**run.data, "n": {**run.data["n"], "train": 2 * n if n else 1045}}
            part = {"tested": "c" * 64, "split": f"{n:064}"} if n else {}
            found.append(replace(run, data=data, hashes={**run.hashes, **part}))
    return found


def test_parts_of_the_train_texts_are_rows_that_are_tested_on_the_same_texts(
    make_record: MakeRecord,
) -> None:
    records = curve(make_record)
    assert naming(records, ["method"]) == ["method", "data.per_class"]
    found = findings(records, ["data.per_class"])
    assert [row[0] for row in found.table.rows] == [16, 64, "all texts"]
    assert sum(one is not None and one.p is not None for one in found.against) == 2
    assert not any("splits differ" in reason for reason in found.reasons)
    assert not any("same number of texts" in reason for reason in found.reasons)


def test_parts_of_other_texts_are_not_compared(make_record: MakeRecord) -> None:
    records = [
        replace(run, hashes={**run.hashes, "tested": "d" * 64}) if "tested" in run.hashes else run
        for run in curve(make_record)
    ]
    found = findings(records, ["data.per_class"])
    assert any("splits differ" in reason for reason in found.reasons)


def test_the_answer_is_the_fewest_labels_that_are_not_told_apart(make_record: MakeRecord) -> None:
    (said,) = answers(curve(make_record), ["data.per_class"])
    assert said.startswith("No difference found; the smallest is per_class 16")


def test_a_learning_curve_is_drawn_over_the_number_of_train_texts(make_record: MakeRecord) -> None:
    records = curve(make_record)
    made = report({Path(f"r{at}"): run for at, run in enumerate(records)}, ["data.per_class"])
    (section,) = made.sections
    assert made.question == "How many labels are enough?"
    assert next(iter(section.charts)) == "labels"
    chart = section.charts["labels"]
    assert isinstance(chart, Lines)
    assert [point.x for point in chart.panels[0].series[0].points] == [32, 128, 1045]
    assert chart.panels[0].x.log
    assert all(point.ends for point in chart.panels[0].series[0].points)


@pytest.mark.parametrize("by", [["method"], ["lora.rank"]])
def test_runs_on_all_texts_alone_are_named_as_before(
    by: list[str], make_record: MakeRecord
) -> None:
    records = [run for run in curve(make_record) if "tested" not in run.hashes]
    assert naming(records, by) == by
    assert "labels" not in report({Path("a"): records[0]}, by).sections[0].charts
