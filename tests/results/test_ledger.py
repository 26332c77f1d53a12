"""Published rows beside ours: the verdict, and what no count of texts can give."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from loraexp.config.compose import conf_dir
from loraexp.records.record import Record
from loraexp.results.ledger import PUBLISHED, impossible, ledger_table, verdict
from loraexp.stats.significance import next_run

MakeRecord = Callable[..., Record]


def runs(make: MakeRecord, *tests: float) -> list[Record]:
    made = make()
    return [
        replace(made, metrics={**made.metrics, "test": {**made.metrics["test"], "accuracy": test}})
        for test in tests
    ]


def test_the_interval_is_students_for_one_more_run() -> None:
    found = next_run([96.0, 97.0, 98.0])
    half = 4.302652729911275 * 1.0 * (1 + 1 / 3) ** 0.5  # two degrees of freedom, sd 1
    assert (found.mean, found.low, found.high) == pytest.approx((97.0, 97 - half, 97 + half))
    assert next_run([96.0]).low is None


@pytest.mark.parametrize(
    ("published", "wanted"),
    [(97.0, "agrees"), (102.1, "agrees"), (102.2, "differs"), (91.8, "differs")],
)
def test_a_verdict_is_about_one_more_run(published: float, wanted: str) -> None:
    """97 +- 4.968, and half a text of 300 is 0.167."""
    assert verdict(published, next_run([96.0, 97.0, 98.0]), 300) == wanted


def test_seeds_that_all_agree_leave_half_a_text() -> None:
    test = next_run([96.67, 96.67])
    assert verdict(96.67, test, 300) == "agrees"
    assert verdict(96.33, test, 300) == "differs"


def test_one_seed_has_no_verdict_and_no_record_its_reason(make_record: MakeRecord) -> None:
    reasons = dict.fromkeys(PUBLISHED, "no weights")
    table = ledger_table({"row10": runs(make_record, 0.9633)}, reasons)
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert [*rows] == [*PUBLISHED]
    assert rows["row10"]["verdict"] == "one seed only"
    assert rows["row10"]["test"] == pytest.approx(96.33)
    assert rows["row05"]["verdict"] == "not run"
    assert rows["row05"]["reason"] == "no weights"


def test_the_table_has_the_mean_of_every_split(make_record: MakeRecord) -> None:
    table = ledger_table({"row10": runs(make_record, 0.93, 0.95)}, dict.fromkeys(PUBLISHED, ""))
    (row,) = (row for row in table.rows if row[0] == "row10")
    assert row[3] == "99.62 98.66 94.00"
    assert row[6:9] == [2, "72.0 to 100.0", "agrees"]  # 94 +- 22, and no more than all texts


def test_only_one_published_accuracy_is_no_share_of_its_texts() -> None:
    assert impossible(replace(PUBLISHED["rte"], scores=(None, None, 65.2))) == "test"
    assert {name: impossible(row) for name, row in PUBLISHED.items() if impossible(row)} == {
        "row08": "validation"
    }


def test_every_row_has_a_recipe_and_a_source() -> None:
    for name, row in PUBLISHED.items():
        assert (conf_dir() / "experiment" / row.recipes / f"{name}.yaml").is_file(), name
        assert row.source.startswith("github.com/")
