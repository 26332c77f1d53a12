"""Where a run comes from: its page says it step by step, and rows that started apart say so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.records.record import Failure, Record
from loraexp.report.html import to_html
from loraexp.report.lineage import Step
from loraexp.report.markdown import as_markdown
from loraexp.report.report import Report, report
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings

MakeRecord = Callable[..., Record]
EVIL = "<img src=x onerror=hacked()>\u202e`|](x) \x1b[2J"


def run(
    make: MakeRecord,
    name: str,
    adapter: str,
    source: str | None = None,
    path: str = "",
    seed: int = 0,
) -> Record:
    """A run of this name that left an adapter with this hash.

    Args:
        source: hash of the adapter that it started from. path: what its init_from says.
    """
    made = make({"init_from": path or None, "seed": seed}, name=name)
    own = {"init_from": source * 64} if source else {}
    return replace(made, hashes={**made.hashes, **own, "adapter": adapter * 64})


def report_of(*records: Record) -> Report:
    return report({Path(f"{n}"): record for n, record in enumerate(records)}, [])


@pytest.fixture
def chain(make_record: MakeRecord) -> list[Record]:
    return [
        run(make_record, "third", "3", "2", "/home/me/second"),
        run(make_record, "first", "1"),
        run(make_record, "second", "2", "1", "somewhere/first/"),
    ]


def test_a_run_is_led_back_step_by_step_to_a_new_adapter(chain: list[Record]) -> None:
    made = report_of(*chain)
    of = {page.name: page.lineage for page in made.pages.each}
    first = Step("first", "1" * 16, "first", "which began with a new adapter")
    assert of == {
        "first": [],
        "second": [first],
        "third": [Step("second", "2" * 16, "second"), first],
    }
    html, text = to_html(made), as_markdown(made, "figures")
    assert f'<a href="#second">second</a>, adapter {"2" * 16}</div>' in html
    assert f'that from <a href="#first">first</a>, adapter {"1" * 16}, which began' in html
    assert html.count("<dt>started from</dt>") == 2
    line = f"- started from: [second](#second), adapter {'2' * 16}, that from [first](#first), "
    assert line in text
    assert text.count('<a id="first"></a>') == text.count('<a id="second"></a>') == 1
    assert '<a id="third">' not in text
    assert "started from" not in to_html(report_of(chain[1]))


def test_what_is_not_there_or_was_trained_anew_is_no_link(chain: list[Record]) -> None:
    third, first, second = chain
    (page,) = report_of(third).pages.each
    assert page.lineage == [Step("second", "2" * 16, None, "not in this report")]
    anew = replace(second, hashes={**second.hashes, "adapter": "9" * 64})
    of = {page.name: page.lineage for page in report_of(third, first, anew).pages.each}
    assert of["third"] == [Step("second", "2" * 16, None, "in this report with another adapter")]
    moved = replace(second, name="renamed")
    of = {page.name: page.lineage for page in report_of(third, first, moved).pages.each}
    assert [step.name for step in of["third"]] == ["renamed", "first"]


def test_a_circle_ends(make_record: MakeRecord) -> None:
    a, b = run(make_record, "a", "a", "b", "b"), run(make_record, "b", "b", "a", "a")
    of = {page.name: page.lineage for page in report_of(a, b).pages.each}
    assert [step.name for step in of["a"]] == ["b", "a", "b"]


def test_a_hostile_source_stays_a_text(make_record: MakeRecord) -> None:
    made = report_of(run(make_record, "a", "a", "b", EVIL), run(make_record, "b", "c"))
    for page in (to_html(made), as_markdown(made, "figures")):
        assert "started from" in page
        assert not any(sign in page for sign in ("<img", "\u202e", "\x1b"))
    assert r"\`\|\](x)" in as_markdown(made, "figures")


def notes(records: list[Record], *by: str) -> list[str]:
    found = findings(records, by)
    return [
        line.removeprefix("- ") for line in found.notes if "start" in line or "init_from" in line
    ]


def test_runs_of_one_row_are_not_averaged_over_two_sources(make_record: MakeRecord) -> None:
    """The source was trained anew in between: one path, two adapters."""
    alike = [run(make_record, "", "x", "1", "a", seed) for seed in (0, 1)]
    assert [arm.accuracies.keys() for arm in findings(alike, ["method"]).arms] == [{0, 1}]
    assert notes(alike, "method") == []
    unlike = [alike[0], run(make_record, "", "x", "2", "a", 1)]
    found = findings(unlike, ["method"])
    assert found.table.header[:2] == ["method", "start"]
    assert [[*arm.accuracies] for arm in found.arms] == [[0], [1]]
    assert notes(unlike, "method") == ["what init_from names was another adapter for some runs"]


def test_rows_that_started_apart_say_so(make_record: MakeRecord) -> None:
    new, warm = run(make_record, "", "x"), run(make_record, "", "y", "1", "a")
    note = "rows differ in what they start from; what was trained before is not in their epochs"
    assert notes([new, warm], "init_from") == [f"Note: {note}."]
    names = [row[0] for row in findings([new, warm], ["init_from"]).table.rows]
    assert names == ["a", "a new adapter"]
    reason = "the runs did not start from one adapter: init_from differs"
    assert notes([new, warm], "method") == [reason]
    assert notes([new, run(make_record, "", "x", seed=1)], "method") == []


def test_a_failed_job_is_of_the_row_of_those_that_started_like_it(make_record: MakeRecord) -> None:
    new, warm = run(make_record, "", "x"), run(make_record, "", "y", "1", "a")
    lost = [Failure("", {**one.config, "seed": 1}, "out of memory", "") for one in (new, warm)]
    found = findings([new, warm], ["init_from"], beside=Beside(lost))
    assert [row[0] for row in found.table.rows] == ["a", "a new adapter"]
    other = Failure("", {**new.config, "init_from": "b"}, "out of memory", "")
    found = findings([new, warm], ["init_from"], beside=Beside([other]))
    assert [row[0] for row in found.table.rows] == ["a", "a new adapter", "b"]
