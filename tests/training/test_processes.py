"""Two processes (gloo, CPU) train what one process trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import command

SETTINGS = [
    "train",
    "model=tiny",
    "data.limit=16",
    "data.pad_to=64",
    "trainer.precision=fp32",
    "trainer.max_epochs=3",
    "trainer.keep=last",
    "optim.lr=1e-2",
    "logger=none",
]
TWO = ["trainer=ddp_cpu", "data.batch_size=8"]


def records(folder: Path, *arguments: str) -> list[dict[str, object]]:
    """Records of the runs that a command leaves, by seed."""
    typed = [sys.executable, "-m", "loraexp", *SETTINGS, *arguments, f"output_dir={folder}"]
    done = subprocess.run(typed, capture_output=True, text=True, cwd=folder.parent, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("method rank") == 1, "only the main process prints a table"
    return [json.loads(file.read_text()) for file in sorted(folder.glob("train/*/record.json"))]


def by_one(folder: Path) -> dict[str, object]:
    """The record of a run whose batches hold both halves."""
    status, _, err = command(
        folder, *SETTINGS, "trainer=cpu", "data.batch_size=16", f"output_dir={folder}"
    )
    assert status == 0, err
    (file,) = folder.glob("train/*/record.json")
    return json.loads(file.read_text())


def check(together: dict[str, object], alone: dict[str, object]) -> None:
    assert together["steps"] == alone["steps"] == 3
    # gathered over the processes, in the split's order
    assert together["predictions"] == alone["predictions"]
    true = alone["predictions"]["test"]["true"]  # type: ignore[index]
    assert true != sorted(true)  # another order would be seen
    for split in ("train", "validation", "test"):
        left, right = alone["metrics"][split], together["metrics"][split]  # type: ignore[index]
        assert left["n"] == right["n"] == 16
        assert left["loss"] == pytest.approx(right["loss"], abs=1e-5)


def test_two_processes_give_the_metrics_of_one_that_takes_both_halves(tmp_path: Path) -> None:
    (together,) = records(tmp_path / "two", *TWO)
    check(together, by_one(tmp_path))


@pytest.mark.slow  # six more processes
def test_each_job_of_a_sweep_starts_its_own_group_of_processes(tmp_path: Path) -> None:
    first, second = records(tmp_path / "two", *TWO, "seed=0,1", "-m")
    alone = by_one(tmp_path)
    check(first, alone)
    for split in ("train", "validation", "test"):
        other, left = second["metrics"][split], alone["metrics"][split]  # type: ignore[index]
        assert left["loss"] != pytest.approx(other["loss"], abs=1e-5)
