"""Charts as data and as SVG: few lines a panel, every tried rate, and words that stay words."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from loraexp.records.inspection import Forgetting, Inspection
from loraexp.records.record import Record
from loraexp.report.chart import MOST, MOST_PANELS, Axis, Chart, Dots, Lines, axis, thinned
from loraexp.report.charts import MOST_ROWS, charts
from loraexp.report.svg import drawings, to_file
from loraexp.report.svg_parts import FONT
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.paired import compare

MakeRecord = Callable[..., Record]
RATES = (1e-4, 3e-4, 1e-3, 1e-2)
HASHES = {"base": "b" * 64, "split": "c" * 64}
EVIL = '</svg><script>alert(1)</script>"\u202e&'


def made(make: MakeRecord, count: int, by: str = "method", **settings: Any) -> dict[str, Chart]:
    """Of arms with a name each and four rates."""
    records = [
        replace(
            make({"method": f"m{n}", "optim.lr": rate, **settings}),
            counts={**make().counts, "trainable": 1000 * 3**n},
        )
        for n in range(count)
        for rate in RATES
    ]
    found = arms(records, [by])
    return charts(found, [by], compare(found))


def lines(chart: Chart) -> Lines:
    assert isinstance(chart, Lines)
    return chart


@pytest.mark.parametrize("count", [2, MOST, MOST + 1, MOST_PANELS + 5, 3 * MOST_ROWS])
def test_at_most_six_lines_of_a_panel_are_told_apart(make_record: MakeRecord, count: int) -> None:
    for chart in made(make_record, count).values():
        if isinstance(chart, Dots):
            assert len(chart.rows) == min(count, MOST_ROWS)
            continue
        assert len(chart.panels) <= MOST_PANELS
        for panel in chart.panels:
            styles = [one.style for one in panel.series if one.style is not None]
            assert len(styles) == len({*styles}) <= MOST
            assert len(panel.labelled()) <= MOST
        shown = {one.name for panel in chart.panels for one in panel.series}
        assert {f"m{n}" for n in range(count)} <= shown


def test_every_rate_that_was_tried_is_on_the_axis(make_record: MakeRecord) -> None:
    for panel in lines(made(make_record, 9)["lr"]).panels:
        assert [value for value, _ in panel.x.ticks] == [*RATES]
    (drawn, *_) = drawings(made(make_record, 2)["lr"])
    assert all(f">{rate:g}</text>" in drawn for rate in RATES)


def test_the_table_of_a_chart_has_its_numbers(make_record: MakeRecord) -> None:
    chart = lines(made(make_record, 2)["lr"])
    points = [(one.name, p.x, p.y) for one in chart.panels[0].series for p in one.points]
    assert [tuple(row) for row in chart.table.rows] == points


def test_a_point_says_its_value_when_it_is_pointed_at(make_record: MakeRecord) -> None:
    (drawn,) = drawings(made(make_record, 2)["rows"])
    assert "<title>m0: 97.3 % (" in drawn


@pytest.mark.parametrize("text", [EVIL, "中文", "العربية", "", "x" * 5000, "\ud800"])
def test_names_of_strangers_are_texts_in_svg(make_record: MakeRecord, text: str) -> None:
    records = [
        replace(
            make_record({"method": f"{text}{n}", "lora.rank": rank, "optim.lr": rate}),
            counts={**make_record().counts, "trainable": rank * 100 + n},
        )
        for n in range(8)
        for rank in (1, 2)
        for rate in RATES[:2]
    ]
    by = ["method", "lora.rank"]
    found = arms(records, by)
    for chart in charts(found, by, compare(found)).values():
        for drawn in (to_file(chart), *drawings(chart)):
            tags = {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(drawn).iter()}
            assert tags <= {"svg", "g", "path", "text", "title", "circle", "rect", "style"}
            assert "\u202e" not in drawn


@pytest.mark.parametrize(
    "values", [[0.5], [0.0], [1e40, 1.0], [97.0, 97.0], [1e-9, 2e-9], [math.nan], [], [-5, 5]]
)
def test_an_axis_holds_its_values_and_a_few_round_ticks(values: list[float]) -> None:
    found = axis("loss", values)
    assert found.low < found.high
    assert all(found.low < value < found.high for value in values if math.isfinite(value))
    ticks = [value for value, _ in found.ticks]
    assert 1 <= len(ticks) <= 7
    assert all(a < b for a, b in pairwise(ticks))
    assert len({text for _, text in found.ticks}) == len(ticks)


def test_a_log_axis_makes_equal_ratios_equally_long() -> None:
    found = Axis("rank", 1, 16, [], log=True)
    assert [found.share(value) for value in (1, 4, 16)] == [0, 0.5, 1]


def test_labels_that_would_touch_are_left_out() -> None:
    assert thinned([(0, 10), (8, 10), (20, 10)], gap=2) == [True, False, True]


@pytest.mark.parametrize(("rate", "all_shown"), [(1.35e-4, True), (1.25e-4, False)])
def test_turned_labels_are_a_line_apart(
    make_record: MakeRecord, rate: float, all_shown: bool
) -> None:
    rates = (*RATES, rate)
    records = [make_record({"optim.lr": rate}) for rate in rates]
    found = arms(records, ["method"])
    drawn = to_file(charts(found, ["method"], compare(found))["lr"])
    places = [float(x) for x in re.findall(r"rotate\(-45 ([\d.]+)", drawn)]
    assert (len(places) == len(rates)) is all_shown
    assert all((b - a) / 2**0.5 >= FONT for a, b in pairwise(places))


def test_forgetting_is_drawn_of_the_arms_that_were_inspected(make_record: MakeRecord) -> None:
    def run(number: int, text: str = "t") -> tuple[Record, Inspection]:
        made = replace(
            make_record({"method": f"m{number}"}), hashes={**HASHES, "adapter": str(number)}
        )
        return made, Inspection(str(number), [], Forgetting(text, 9, 3.0, 3.0 + number / 10, None))

    runs = [run(number) for number in range(3)]
    found = arms([record for record, _ in runs], ["method"])
    known = {one.adapter: one for _, one in runs}

    def chart(inspected: dict[str, Inspection]) -> Chart | None:
        drawn = charts(found, ["method"], compare(found), Beside(inspected=inspected))
        return drawn.get("forgetting")

    drawn = lines(chart(known) or pytest.fail("nothing is drawn"))
    points = {one.name: one.points[0].x for one in drawn.panels[0].series[1:]}
    assert points == pytest.approx({"m0": 0.0, "m1": 0.1, "m2": 0.2})
    assert [row[1] for row in drawn.table.rows] == pytest.approx([0.0, 0.1, 0.2])
    some = {name: known[name] for name in ("0", "2")}
    assert [row[0] for row in lines(chart(some) or drawn).table.rows] == ["m0", "m2"]
    assert chart({}) is None
    assert chart({**known, "2": run(2, "another text")[1]}) is None  # not to be compared
