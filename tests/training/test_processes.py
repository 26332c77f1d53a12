"""Two processes (gloo, CPU) train what one process trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def records(folder: Path, *arguments: str) -> list[dict[str, object]]:
    """Records of the runs that a command leaves, by seed."""
    command = [sys.executable, "-m", "loraexp", *SETTINGS, *arguments, f"output_dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("method rank") == 1, "only the main process prints a table"
    return [json.loads(file.read_text()) for file in sorted(folder.glob("train/*/record.json"))]


def test_two_processes_give_the_metrics_of_one_that_takes_both_halves(tmp_path: Path) -> None:
    (alone,) = records(tmp_path / "one", "trainer=cpu", "data.batch_size=16")
    # a sweep of two jobs: each must start its own group of processes
    together = records(tmp_path / "two", "trainer=ddp_cpu", "data.batch_size=8", "seed=0,1", "-m")
    assert len(together) == 2
    assert together[0]["steps"] == alone["steps"] == 3
    # gathered over the processes, in the split's order
    assert together[0]["predictions"] == alone["predictions"]
    true = alone["predictions"]["test"]["true"]  # type: ignore[index]
    assert true != sorted(true)  # another order would be seen
    for split in ("train", "validation", "test"):
        left, right = alone["metrics"][split], together[0]["metrics"][split]  # type: ignore[index]
        assert left["n"] == right["n"] == 16
        assert left["loss"] == pytest.approx(right["loss"], abs=1e-5)
        other = together[1]["metrics"][split]  # type: ignore[index]
        assert left["loss"] != pytest.approx(other["loss"], abs=1e-5)
