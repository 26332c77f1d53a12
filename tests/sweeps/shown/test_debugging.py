"""Runs of debug= are no results: a comparison leaves them out unless somebody asks for them."""

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
from small import small_run, trained

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.errors import UserError
from loraexp.results.settings import flat
from loraexp.sweeps.shown.collect import collect
from loraexp.sweeps.shown.debugging import debug_of, left_out, options
from loraexp.sweeps.sweep_folder import Sweep


def test_each_option_is_known_by_what_it_sets() -> None:
    config = plain(TrainConfig())
    assert {name: debug_of(with_all(config, own)) for name, own in options().items()} == {
        "fast": "fast",
        "overfit": "overfit",
    }
    assert debug_of(with_all(config, {"trainer.max_epochs": 1})) is None  # the control


def with_all(config: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    for name, value in own.items():
        group, _, last = name.rpartition(".")
        (changed[group] if group else changed)[last] = value
    return changed


def test_they_stay_out_beside_others_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    whole = plain(TrainConfig())
    fast = with_all(whole, {"trainer.max_epochs": 1, "trainer.limit_batches": 1})
    with caplog.at_level(logging.INFO, "loraexp"):
        assert left_out([fast, whole], []) == [True, False]
    assert caplog.messages == [
        "left out: 1 run of debug=fast; "
        "where=[trainer.max_epochs=1,trainer.limit_batches=1] shows them"
    ]
    assert left_out([fast, whole], ["trainer.limit_batches=1"]) == [False, False]
    assert left_out([fast, whole], ["seed=0"]) == [True, False]
    assert left_out([fast, fast], []) == [False, False]  # there is nothing else
    assert left_out([], []) == []


def test_a_folder_of_sweeps_has_the_runs_of_each(tmp_path: Path) -> None:
    runs = []
    for seed in (0, 1):
        config = small_run(tmp_path / "elsewhere", epochs=1, logger="none")
        config.seed = seed
        config.trainer.limit_batches = 1 if seed else None  # with one epoch, that of debug=fast
        runs.append(tmp_path / "elsewhere" / "train" / trained(config).name)
        Sweep(tmp_path / "sweeps" / str(seed)).begin(0, runs[-1])
    assert [*collect([str(tmp_path / "sweeps")], []).runs] == [runs[0].resolve()]
    asked = collect([str(tmp_path / "sweeps")], ["trainer.limit_batches=null|1"])
    assert {*asked.runs} == {run.resolve() for run in runs}
    assert flat(asked.records[0].config)["trainer.max_epochs"] == 1
    with pytest.raises(UserError, match="no finished run there"):
        collect([str(tmp_path)], ["seed=7"])
