"""A section of a report: its rows in order, and which classes are taken for which."""

from collections.abc import Callable
from pathlib import Path

from loraexp.records.record import Record
from loraexp.report.chart import Lines
from loraexp.report.html import to_html
from loraexp.report.report import report

MakeRecord = Callable[..., Record]


def test_ranks_stand_in_numeric_order_everywhere(make_record: MakeRecord) -> None:
    given = {
        Path(f"r{rank}-{seed}"): make_record({"lora.rank": rank, "seed": seed}, name=f"r{rank}")
        for rank in (128, 16, 2)
        for seed in (10, 9)
    }
    made = report(given, [])
    assert [row[0] for row in made.sections[0].main.table.rows] == [2, 16, 128]
    assert [page.about for page in made.pages.each][:3] == [
        "rank 2, seed 9",
        "rank 2, seed 10",
        "rank 16, seed 9",
    ]
    chart = made.sections[0].charts["rank"]
    assert isinstance(chart, Lines)
    assert [text for _, text in chart.panels[0].x.ticks] == ["2", "16", "128"]
    assert [point.x for point in chart.panels[0].series[0].points] == [2, 16, 128]
    assert "rank 2; rank 16; rank 128" in made.sections[0].compared.reasons[-1]


def test_of_many_classes_the_confused_pairs_and_a_row_a_class_are_shown(
    make_record: MakeRecord,
) -> None:
    labels = [f"class {number}" for number in range(150)]
    counts = [[2 if i == j else 0 for j in range(150)] for i in range(150)]
    counts[7][9], counts[7][7] = 2, 0
    metrics = {s: m | {"confusion": counts} for s, m in make_record().metrics.items()}
    made = report({Path("a"): make_record(labels=labels, metrics=metrics)}, [])
    found = made.sections[0].classes
    assert found.matrix.rows == []
    assert found.pairs.rows == [["class 7", "class 9", 2]]
    header, rows = found.each.header, found.each.rows
    worst, second = (dict(zip(header, row, strict=True)) for row in rows[:2])
    assert (worst["label"], worst["n"], worst["recall"], worst["f1"]) == ("class 7", 2, 0.0, 0.0)
    assert worst["precision"] is worst["precision_95"] is None
    assert (second["label"], second["precision"], second["recall"]) == ("class 9", 0.5, 1.0)
    assert len(found.each.rows) == 150
    assert "class 149" in to_html(made)
