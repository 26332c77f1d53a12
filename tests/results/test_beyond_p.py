"""What stands beside p in a comparison: in the table's columns, its notes, and the report."""

import gc
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_comparison import run

from loraexp.records.record import Record
from loraexp.report.markdown import as_markdown
from loraexp.report.report import report
from loraexp.results.arms import arms
from loraexp.results.comparison import Findings, findings
from loraexp.results.paired import paired
from loraexp.results.tables import to_json
from loraexp.stats.power import detectable
from loraexp.stats.superiority import expected_best, p_superior

MakeRecord = Callable[..., Record]
NEW = ("detectable", "superiority", "agreement", "kappa")


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels calls it each time


def ranks(make: MakeRecord, seeds: int, rates: tuple[float, ...] = (1e-3,)) -> list[Record]:
    rng = np.random.default_rng(0)
    hard = rng.beta(8, 1, 300)
    return [
        run(
            make,
            rng.random(300) < hard + share,
            val=0.9 + 10 * lr,
            lora__rank=rank,
            seed=seed,
            optim__lr=lr,
        )
        for rank, share in ((1, -0.1), (2, 0.0), (4, 0.02))
        for seed in range(seeds)
        for lr in rates
    ]


def rows(found: Findings) -> dict[int, dict[str, float | None]]:
    return {row["lora.rank"]: row for row in json.loads(to_json(found.table))}


def test_json_has_power_superiority_and_agreement_of_each_row(make_record: MakeRecord) -> None:
    records = ranks(make_record, 5)
    one, _, best = arms(records, ["lora.rank"])
    found = rows(findings(records, ["lora.rank"]))
    pair = paired(one, best)
    assert pair is not None
    assert found[1]["detectable"] == detectable(*pair, tests=2).difference
    wins = p_superior(*pair)
    assert found[1]["superiority"] == wins.mean
    assert found[1]["superiority_95_low"] == wins.low
    assert found[1]["superiority_95_high"] == wins.high
    assert 0.5 < (found[1]["agreement"] or 0) < 1
    assert found[4]["detectable"] is found[4]["superiority"] is None  # itself the reference
    assert found[4]["agreement"] is not None


def test_notes_say_each_in_a_line_of_a_terminal(make_record: MakeRecord) -> None:
    records = ranks(make_record, 5, (1e-3, 2e-3, 4e-3))
    for baseline in (None, "lora.rank=2"):
        notes = findings(records, ["lora.rank"], baseline).notes
        for word in ("Power: ", "More ", "P(>), ", "In brackets ", "Agreement: ", "Tuning: "):
            (line,) = (note for note in notes if note.startswith(word))
            assert len(line) <= 100
    tried = [0.91, 0.92, 0.94]
    curve = " or ".join(f"{100 * expected_best(tried, n):.1f}" for n in (1, 2, 3))
    assert any(note.endswith(f"the baseline would reach {curve} in val.") for note in notes)


def test_one_seed_or_one_arm_leaves_the_table_as_it_was(make_record: MakeRecord) -> None:
    for records in (ranks(make_record, 1), ranks(make_record, 5)[:5]):
        found = findings(records, ["lora.rank"])
        assert not {*NEW} & {*found.table.header}
        assert not any(note.startswith(("Power", "P(>)", "Agreement")) for note in found.notes)


def test_an_arm_of_one_seed_among_others_has_no_figures(make_record: MakeRecord) -> None:
    records = ranks(make_record, 3)[2:]  # of rank 1 one seed is left
    found = rows(findings(records, ["lora.rank"], "lora.rank=4"))
    assert [found[1][name] for name in NEW] == [None] * 4
    assert found[2]["detectable"] is not None


def test_the_report_has_the_same_columns_and_notes(make_record: MakeRecord, tmp_path: Path) -> None:
    records = ranks(make_record, 3)
    made = report({tmp_path / str(at): one for at, one in enumerate(records)}, ["lora.rank"])
    text = as_markdown(made, "pictures")
    assert "80 % power" in text
    assert all(word in text for word in ("Power: ", "Agreement: "))
