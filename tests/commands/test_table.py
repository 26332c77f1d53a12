"""The command over folders of runs: which it finds, and what it prints."""

import csv
import json
from pathlib import Path

import pytest

from loraexp.commands.table import run
from loraexp.errors import UserError
from loraexp.schemas import TableConfig


def printed(capsys: pytest.CaptureFixture[str], config: TableConfig) -> str:
    run(config, None)
    return capsys.readouterr().out


def test_a_run_is_found_below_a_folder_and_through_a_sweeps_folder(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = printed(capsys, TableConfig(runs=[str(finished.parent)], format="json"))
    (row,) = json.loads(below)
    assert (row["method"], row["lora.rank"], row["seeds"]) == ("lora", 2, 1)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "000000.txt").write_text(f"{finished}\n")
    both = TableConfig(runs=[str(tmp_path), str(finished)], format="json")
    assert printed(capsys, both) == below


def test_where_keeps_what_it_names(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(finished)]
    kept = printed(capsys, TableConfig(runs=runs, where=["seed=0", "method=lora"], format="csv"))
    assert len(list(csv.DictReader(kept.splitlines()))) == 1
    with pytest.raises(UserError, match=r"no finished run there with seed=1"):
        run(TableConfig(runs=runs, where=["seed=1"]), None)
    with pytest.raises(UserError, match=r"where=sead=1: write key=value with a key of train"):
        run(TableConfig(runs=runs, where=["sead=1"]), None)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"runs=.*nowhere: no such folder"):
        run(TableConfig(runs=[str(tmp_path / "nowhere")]), None)
