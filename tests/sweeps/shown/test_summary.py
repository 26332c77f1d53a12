"""What a sweep shows: the comparison wherever rows are more than runs, and in the guard's words."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from loraexp.records.record import Record
from loraexp.results.comparison import findings
from loraexp.sweeps.shown.summary import Summary

MakeRecord = Callable[..., Record]
VALIDATION = {(4, 1e-3): 0.7, (4, 3e-3): 0.9, (8, 1e-3): 0.8, (8, 3e-3): 0.6}


def grid(make: MakeRecord, rates: tuple[float, ...], seeds: int = 1) -> list[Record]:
    """Two ranks by these rates; rank 4 is best at 0.003, rank 8 at 0.001."""
    found = []
    for rank, rate, seed in product((4, 8), rates, range(seeds)):
        made = make({"lora.rank": rank, "optim.lr": rate, "seed": seed})
        score = {**made.metrics["validation"], "accuracy": VALIDATION[rank, rate]}
        found.append(replace(made, metrics={**made.metrics, "validation": score}))
    return found


def words(text: str) -> str:
    """Without the breaks of lines."""
    return " ".join(text.split())


def test_one_seed_of_several_rates_is_compared_each_row_at_its_best_rate(
    make_record: MakeRecord,
) -> None:
    records = grid(make_record, (1e-3, 3e-3))
    summary = Summary.of(records)
    table = summary.tables["comparison"]
    at = [table.header.index(name) for name in ("lora.rank", "lr", "settings", "validation")]
    assert [[row[i] for i in at] for row in table.rows] == [[4, 3e-3, 2, 0.9], [8, 1e-3, 2, 0.8]]
    said = words(summary.text)
    assert "rank lr trainable seeds" in said
    assert "Each row: of its settings (up to 2) the best by validation texts." in said
    assert "One seed: not tested" in said
    for reason in findings(records, ["lora.rank"]).reasons:
        assert f"- {words(reason)}" in said
    assert "- 1 seed only; three are the least" in said
    assert all("may be chance" in line for line in summary.answers())


@pytest.mark.parametrize(
    ("rates", "seeds", "compared"),
    [((3e-3,), 1, False), ((3e-3,), 2, True), ((1e-3, 3e-3), 1, True), ((1e-3, 3e-3), 2, True)],
)
def test_it_is_shown_where_a_row_is_more_than_a_run(
    rates: tuple[float, ...], seeds: int, compared: bool, make_record: MakeRecord
) -> None:
    summary = Summary.of(grid(make_record, rates, seeds))
    assert ("comparison" in summary.tables) == ("Not evidence" in summary.text) == compared
    assert ("Each row:" in summary.text) == (len(rates) > 1)


def test_rates_of_a_single_row_compare_nothing(make_record: MakeRecord) -> None:
    records = [r for r in grid(make_record, (1e-3, 3e-3)) if r.config["lora"]["rank"] == 4]
    assert [*Summary.of(records).tables] == ["runs"]


def test_a_notebook_reads_what_a_terminal_reads_below_a_comparison(make_record: MakeRecord) -> None:
    summary = Summary.of(grid(make_record, (1e-3, 3e-3)))
    html, text = summary._repr_html_(), words(summary.text)
    assert "<div>Not evidence of which is better, because</div><ul><li>" in html
    reasons = re.findall("<li>(.*?)</li>", html)
    assert len(reasons) == 2
    assert all(f"- {reason}" in text for reason in reasons)
    assert "<li>" not in Summary.of(grid(make_record, (1e-3,)))._repr_html_()
