"""The real engines on this machine: a sweep that they do ends in the table of one that nobody
disturbed, whatever is killed in between."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_process import TINY

from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.sweep_folder import Sweep

pytestmark = pytest.mark.slow
GRID = ["lora.rank=1,2", "seed=0,1,2", "trainer.max_epochs=6", "lora.dropout=0.1", "-m"]
PYTHON = [sys.executable, "-m", "loraexp"]
ENGINES = {
    "slurm": ["launcher=slurm", "launcher.cluster=local", "launcher.at_once=2"],
    "ray": ["launcher=ray", "launcher.address=local", "launcher.at_once=2"],
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> list[str]:
    pytest.importorskip({"slurm": "submitit", "ray": "ray"}[request.param])
    return ENGINES[request.param]


def command(folder: Path, *words: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*PYTHON, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def table(folder: Path) -> str:
    """Of all runs, without what times and places differ in."""
    out, _ = done(command(folder, "table", "format=csv", "by=[lora.rank]"))
    return out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    done(command(folder, "train", *TINY, *GRID, "workers=1", "pack.width=1"))
    return folder


def adapters(folder: Path) -> dict[str, str]:
    runs = map(RunFolder, (folder / "outputs" / "train").iterdir())
    return {run.name: run.record().hashes["adapter"] for run in runs}


def test_an_engine_leaves_what_this_process_leaves(
    engine: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    out, _ = done(command(tmp_path, "train", *TINY, *GRID, *engine))
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)
    assert "lora.rank" in out or "rank" in out


def first(folder: Path, pattern: str, process: "subprocess.Popen[str]") -> Path:
    """The first file of a pattern, as soon as there is one."""
    while process.poll() is None:
        if found := [*folder.glob(pattern)]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def workers_of(words: str) -> list[int]:
    """Processes whose command line has these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line:
            found.append(int(entry.parent.name))
    return found


def test_a_pack_that_is_killed_is_done_again(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    process = command(tmp_path, "train", *TINY, *GRID, *ENGINES["slurm"])
    first(tmp_path, "outputs/train/*/checkpoints/last.ckpt", process)
    (one, *_) = workers_of(f"submitit.core._submit {tmp_path}")
    os.kill(one, signal.SIGKILL)
    _, said = done(process)
    assert "begins again" in said
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)


def test_a_pack_that_is_preempted_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    """As a cluster does it, by the signal that submitit asks for."""
    pytest.importorskip("submitit")
    process = command(tmp_path, "train", *TINY, *GRID, *ENGINES["slurm"], "pack.width=3")
    first(tmp_path, "outputs/train/*/checkpoints/last.ckpt", process)
    (one, *_) = workers_of(f"submitit.core._submit {tmp_path}")
    os.kill(one, signal.SIGUSR2)
    done(process)
    logs = "".join(f.read_text() for f in tmp_path.glob("outputs/sweeps/*/slurm/*_log.*"))
    assert "preempted" in logs
    assert table_of_accuracy(tmp_path) == table_of_accuracy(undisturbed)


def table_of_accuracy(folder: Path) -> dict[str, float]:
    """In packs the bits may differ by rounding, the labels do not."""
    runs = map(RunFolder, (folder / "outputs" / "train").iterdir())
    return {run.name: run.record().metrics["test"]["accuracy"] for run in runs}


def test_the_prompt_comes_back_and_the_sweep_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    words = [*TINY, *GRID, *ENGINES["slurm"], "launcher.wait=false"]
    out, _ = done(command(tmp_path, "train", *words))
    assert out.count("python") >= 3
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    with ended(folder):
        said = ""
        while "6 of 6 runs finished" not in said:
            said, _ = done(command(tmp_path, "sweep", "status"))
    assert adapters(tmp_path) == adapters(undisturbed)


def test_cancel_ends_it_and_resume_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    long = [*GRID[:-1], *ENGINES["slurm"], "launcher.wait=false", "-m"]
    done(command(tmp_path, "train", *TINY, *long))
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    while not [*tmp_path.glob("outputs/train/*/record.json")]:
        time.sleep(0.01)
    done(command(tmp_path, "sweep", "cancel"))
    while (folder / "driver.json").exists():
        time.sleep(0.01)
    assert not workers_of(f"submitit.core._submit {tmp_path}")
    finished = {run for run in Sweep(folder).planned() if RunFolder(run).finished}
    done(command(tmp_path, "sweep", "resume"))
    assert len(finished) < len(Sweep(folder).planned())
    assert adapters(tmp_path) == adapters(undisturbed)


@contextmanager
def ended(folder: Path) -> Iterator[None]:
    """Whatever a test finds, nothing goes on after it."""
    try:
        yield
    finally:
        if (file := folder / "driver.json").exists():
            os.kill(json.loads(file.read_text())["pid"], signal.SIGTERM)
