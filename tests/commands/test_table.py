"""The command over folders of runs: which it finds, and what it prints."""

import csv
import json
from pathlib import Path

import pytest

from loraexp.commands.table import TableConfig, run
from loraexp.errors import UserError
from loraexp.records.record import Failure, read_record


def printed(capsys: pytest.CaptureFixture[str], config: TableConfig) -> str:
    run(config)
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
        run(TableConfig(runs=runs, where=["seed=1"]))
    with pytest.raises(UserError, match=r"where=sead=1: write key=value with a key of train"):
        run(TableConfig(runs=runs, where=["sead=1"]))


def test_every_format_says_what_must_be_read_with_it(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "test texts stand verbatim in train"
    for form, sign in (("markdown", "Note"), ("latex", "% Note"), ("table", "Note")):
        out = printed(capsys, TableConfig(runs=[str(finished)], format=form))
        assert any(line.startswith(sign) and note in line for line in out.splitlines())
    for form in ("csv", "json"):
        run(TableConfig(runs=[str(finished)], format=form))
        out, err = capsys.readouterr()
        assert note in err
        assert note not in out


@pytest.mark.parametrize(
    "condition",
    [
        *("lora.alpha=16", "lora.alpha=16.0", "lora.rank=2|7", "data.dedupe=false"),
        *("optim.lr=1e-2|0.001|5e-3", "data.path=", "lora.target_modules=[q_proj, v_proj]|q,v"),
    ],
)
def test_where_compares_values(
    finished: Path, condition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_record(finished)
    lr, targets = record.config["optim"]["lr"], record.config["lora"]["target_modules"]
    condition = condition.replace("0.001", f"{lr:e}").replace("q,v", ",".join(targets))
    out = printed(capsys, TableConfig(runs=[str(finished)], where=[condition], format="csv"))
    assert len(out.splitlines()) == 2
    with pytest.raises(UserError):
        run(TableConfig(runs=[str(finished)], where=["lora.rank=3|20"]))


def test_failed_jobs_are_told(finished: Path, tmp_path: Path) -> None:
    Failure("a-run", read_record(finished).config, "no memory", "").write(tmp_path / "a-run")
    with pytest.raises(UserError, match="no finished run there; 1 job failed: a-run: no memory"):
        run(TableConfig(runs=[str(tmp_path)]))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"runs=.*nowhere: no such folder"):
        run(TableConfig(runs=[str(tmp_path / "nowhere")]))
