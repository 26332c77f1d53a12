"""`make regret` asks for the rates that lack, takes from runs what claims need, and shows it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_records import record
from made_rows import found, full, lora, runs
from pages import ROOT

from loraexp.records.record import Failure
from loraexp.results.regret.rows import Arm, Row

sys.path.append(str(ROOT / "tests" / "benchmarks"))
import regret
import regret_charts
import regret_page

ALL = {"lora.target_modules": "all-linear", "data.batch_size": 32}


def test_only_arms_whose_best_is_at_an_end_get_a_rate_there() -> None:
    inside = [*runs(lora(64), 2e-3, noise=0)]
    low, also = ([r for r in runs(lora(n), 2e-3, noise=0) if r.rate > 1.2e-3] for n in (4, 16))
    high = [row for row in runs(full(96), 4e-4, noise=0) if row.rate < 5e-4]
    assert [*regret.wanted([*inside, *low, *also, *high])] == [
        ("full", ["optim.lr=0.0008", "data.batch_size=96"]),
        ("rates", ["optim.lr=0.0008", "data.batch_size=32", "lora.rank=4,16"]),
    ]
    assert not [*regret.wanted(inside)]


def test_a_rate_that_came_later_is_tried_with_seeds_that_came_later_still() -> None:
    every = [*runs(lora(64), 2e-3, noise=0)]
    lacks = [row for row in every if (row.rate, row.seed) != (3.2e-3, 3)]
    assert [*regret.wanted(lacks)] == [
        ("rates", ["optim.lr=0.0032", "data.batch_size=32", "lora.rank=64"])
    ]


def test_data_that_is_typed_takes_the_place_of_our_sets() -> None:
    assert regret.sets_of(["data=sms_spam", "workers=1"]) == {"own": []}
    ours = regret.sets_of(["model=gpt2", "data.limit=9"])
    assert [(name, words[0]) for name, words in ours.items()] == [
        ("banking77", "data=csv"),
        ("sms_spam", "data=sms_spam"),
    ]


def test_a_run_is_a_row_of_its_arm(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train_loss\n0,4.5\n1,4.25\n")
    made = record({**ALL, "lora.rank": 4, "optim.lr": 1e-3, "optim.lr_factor": 2.0, "seed": 7})
    row = regret.row_of(made, tmp_path)
    assert (row.arm, row.rate, row.seed) == (Arm("lora", "all", 4, 32), 2e-3, 7)
    assert (row.loss, row.trainable) == (0.13123, 591_360)
    assert ([*row.steps], [*row.losses]) == ([1, 2], [4.5, 4.25])
    assert Row.of(json.loads(json.dumps(row.as_dict()))) == row


def test_layers_and_full_fine_tuning_are_arms_of_their_own(tmp_path: Path) -> None:
    only = {"lora.target_modules": ["q_proj", "v_proj"], "data.batch_size": 32, "lora.rank": 20}
    assert regret.row_of(record(only), tmp_path).arm == Arm("lora", "attention", 20, 32)
    only["lora.target_modules"] = ["fc1", "fc2"]
    assert regret.row_of(record(only), tmp_path).arm == Arm("lora", "mlp", 20, 32)
    config = record({**ALL, "method": "full"}).config
    row = regret.row_of(Failure("a", config, "the loss is NaN", "2026-01-01"))
    assert (row.arm, row.loss, row.losses) == (Arm("full", "all", 0, 32), None, [])


def test_runs_of_two_settings_are_not_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [record({"data.batch_size": size, "lora.target_modules": ["fc1"]}) for size in (8, 32)]
    other = record({"data.limit": 40, "lora.target_modules": ["fc1"]})
    for records, mixed in ((small, False), ([*small, other], True)):
        runs_ = dict(enumerate(records))
        there = SimpleNamespace(records=records, runs=runs_, beside=SimpleNamespace(failures=()))
        monkeypatch.setattr(regret, "collect", lambda *_, there=there: there)
        if mixed:
            with pytest.raises(SystemExit, match="several settings"):
                regret.rows(tmp_path)
        else:
            assert len(regret.rows(tmp_path)) == 2


def test_a_page_has_each_claim_and_a_figure_has_each_rank(tmp_path: Path) -> None:
    rows = [*runs(full(), 4e-4), *(r for n in (4, 16, 64) for r in runs(lora(n), 4e-3))]
    stored = {"rows": [row.as_dict() for row in rows]}
    table = regret_page.verdicts({"one": stored, "two": {"rows": []}})
    assert [row[0] for row in table.rows] == ["a", "", "b", "", "c", "", "d", "", "e", "", "f", ""]
    assert [row[2:4] for row in table.rows][:4] == [
        *(["one", "holds"], ["two", "cannot be told"]),
        *(["one", "holds"], ["two", "cannot be told"]),
    ]
    regret_charts.write(found(rows), tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == {"rates", "start", "capacity"}
    assert "rank 64" in (tmp_path / "rates.svg").read_text(encoding="utf-8")
