"""Sweeps survive: a job that fails, a kill at any time, Ctrl-C, two of the same at once."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from started import start

from loraexp.records.record import is_finished, read_failure, read_record, read_trial


def sweep(*typed: str, folder: Path) -> tuple[int, str, str]:
    process = start(*typed, folder=folder)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def table(folder: Path) -> list[dict[str, str]]:
    """The latest sweep's table, without how long it took."""
    latest = max(
        (folder / "outputs" / "sweeps").glob("*/table.csv"), key=lambda f: f.stat().st_mtime
    )
    with latest.open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "outputs" / "train").iterdir())


def test_a_job_that_fails_is_a_hole_in_the_table_and_the_rest_goes_on(tmp_path: Path) -> None:
    status, out, err = sweep("optim.lr=1e30,1e-2", "optim.grad_clip=0", folder=tmp_path)
    assert status == 1
    assert err.splitlines()[-1] == "1 of 2 jobs failed; the same command tries these again"
    bad, good = table(tmp_path)
    assert "the loss is" in bad["failed"]
    assert (bad["test_accuracy"], good["failed"]) == ("", "")
    assert 0 < float(good["test_accuracy"]) < 1
    assert sum((run / "failed.json").is_file() for run in runs(tmp_path)) == 1
    (failed,) = [run for run in runs(tmp_path) if (run / "failed.json").is_file()]
    assert read_failure(failed).config["optim"]["lr"] == 1e30
    assert f"Failed: lr=1e+30: {failed.name}: the loss is" in out


def wait_for_file(folder: Path, pattern: str) -> None:
    for _ in range(1200):
        if any(folder.glob(pattern)):
            return
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {folder}")


LONG = ("seed=0,1", "trainer.max_epochs=40")


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tmp_path: Path) -> None:
    # A shell's job in the background ignores Ctrl-C, and so would what the tests start there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(*LONG, folder=tmp_path)
    signal.signal(signal.SIGINT, before)
    wait_for_file(tmp_path, "outputs/train/*/checkpoints/last.ckpt")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted: the same command goes on from here"
    assert "Traceback" not in err
    status, _, err = sweep(*LONG, folder=tmp_path)
    assert status == 0
    assert "going on after epoch" in err
    whole = tmp_path / "whole"
    assert sweep(*LONG, folder=whole)[0] == 0
    assert table(tmp_path) == table(whole)


def test_two_of_the_same_sweep_at_once_share_the_work(tmp_path: Path) -> None:
    both = [start("seed=0,1", "trainer.max_epochs=1", folder=tmp_path) for _ in range(2)]
    ended = [(process.communicate(timeout=600), process.returncode) for process in both]
    assert [status for _, status in ended] == [0, 0]
    tables = [file.read_text() for file in tmp_path.glob("outputs/sweeps/*/table.csv")]
    assert len(tables) == 2
    assert tables[0] == tables[1]  # to the last digit of the seconds: each was trained once


# Long enough that twenty kills, each some seconds after a start, do not see their end.
KILLED = {
    "a grid": ("lora.rank=1,2", "seed=0,1", "trainer.max_epochs=600", "lora.dropout=0.1"),
    "tuned": ("tune=lr", "lora.rank=1,2", "seed=0,1", "trainer.max_epochs=200"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KILLED)
def test_twenty_kills_leave_no_trace_in_the_table(kind: str, tmp_path: Path) -> None:
    draw, kills, status = random.Random(0), 0, -signal.SIGKILL
    typed = KILLED[kind]
    while status == -signal.SIGKILL:
        process = start(*typed, folder=tmp_path)
        try:
            # Above the seconds that a start takes, so that each gets somewhere.
            process.communicate(timeout=draw.uniform(1, 10) if kills < 20 else 600)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        status = process.returncode
    assert status == 0
    assert kills == 20
    whole = tmp_path / "whole"
    assert sweep(*typed, folder=whole)[0] == 0
    assert table(tmp_path) == table(whole)
    assert hashes(tmp_path) == hashes(whole)
    # What has no seconds in it is the same to the byte.
    assert latest(tmp_path, "comparison.csv") == latest(whole, "comparison.csv")
    command = [sys.executable, "-m", "loraexp", "table", "format=csv"]
    first, second = (
        subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
        for folder in (tmp_path, whole)
    )
    assert first == second


def latest(folder: Path, name: str) -> bytes:
    """A file of the latest sweep."""
    return max(folder.glob(f"outputs/sweeps/*/{name}")).read_bytes()


def hashes(folder: Path) -> list[Any]:
    """What each run came to: an adapter, or of a run of stage one the validation loss."""
    return [
        read_record(run).hashes["adapter"] if is_finished(run) else read_trial(run).metrics["loss"]
        for run in runs(folder)
    ]
