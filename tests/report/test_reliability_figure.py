"""The reliability figure: the bins of the records, none of records that have none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.records.record import Record
from loraexp.report.figures import figures
from loraexp.report.html import to_html
from loraexp.report.reliability import reliability_chart
from loraexp.report.report import report
from loraexp.results.explained import explained
from loraexp.stats.significance import wilson_interval

MakeRecord = Callable[..., Record]


def with_bins(record: Record, top: tuple[int, int, float] = (200, 190, 196.0)) -> Record:
    bins = [[0, 0, 0.0]] * 10 + [[100, 60, 70.0]] + [[0, 0, 0.0]] * 3 + [[*top]]
    test = {**record.metrics["test"], "ece": 0.05333, "brier": 0.2, "reliability": bins}
    return replace(record, metrics={**record.metrics, "test": test})


def test_a_point_a_bin_with_the_interval_of_its_texts(make_record: MakeRecord) -> None:
    chart = reliability_chart([with_bins(make_record({"seed": seed})) for seed in (0, 1)])
    assert chart is not None
    assert chart.table.rows == [
        [0.70, 0.60, wilson_interval(0.6, 100).ends, 200],
        [0.98, 0.95, wilson_interval(0.95, 200).ends, 400],
    ]
    assert "5.3 points" in chart.caption
    assert all(explained(column) for column in chart.table.columns)
    (points,) = (one.points for one in chart.panels[0].series if one.name == "test texts")
    assert [(point.x, point.y) for point in points] == [(70.0, 60.0), (98.0, 95.0)]


@pytest.mark.parametrize("which", ["old", "old and new"])
def test_records_that_lack_the_bins_have_no_figure(which: str, make_record: MakeRecord) -> None:
    old = make_record({"seed": 1})
    assert reliability_chart([old] if which == "old" else [old, with_bins(make_record())]) is None
    assert reliability_chart([with_bins(make_record())]) is not None  # the control


def test_a_report_and_the_files_of_a_sweep_have_it(make_record: MakeRecord) -> None:
    run = with_bins(make_record())
    made = report({Path("a"): run}, [])
    assert "how sure they are" in to_html(made)
    assert [row[-2:] for row in made.pages.each[0].scores.rows][-1] == [0.05333, 0.2]
    assert "reliability" in figures([run], ["method"])
    assert "reliability" not in figures([make_record()], ["method"])
