"""Sweeps that a real SLURM does, on this machine: what is cancelled, preempted, out of time or left
alone by its driver ends in the adapters of a sweep that nobody disturbed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engines import adapters, command, done, ended, first, table
from in_process import TINY
from loopback import APT, missing, temporary_cluster
from offline import records_of

from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.sweep_folder import Sweep

pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
if absent := missing():
    pytest.skip(f"needs SLURM (there is no {absent[0]}): {APT}", allow_module_level=True)
pytestmark = pytest.mark.slow

# The first is still at work seconds after its first epoch: once told, SLURM lets it live three.
GRID = ["trainer.max_epochs=600,4,3", "lora.dropout=0.1", "-m"]
SHORT = ["trainer.max_epochs=4,3", "lora.dropout=0.1", "-m"]
BY = "trainer.max_epochs"
LOW = ["launcher=slurm", "launcher.partition=low"]
SWEEP, SHORT_SWEEP = (["train", *TINY, *grid, *LOW] for grid in (GRID, SHORT))
ONE_AT_A_TIME = "launcher.memory_gb=3"  # of 4


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    with temporary_cluster() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    done(command(folder, "train", *TINY, *GRID, "workers=1", "pack.width=1"))
    return folder


def said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def in_queue() -> list[str]:
    """Elements that wait or are at work."""
    return said("squeue", "--noheader", "--array", "--format=%i").split()


@contextmanager
def closed() -> Iterator[None]:
    """While the block lasts, what is queued waits."""
    said("scontrol", "update", "PartitionName=low", "State=DOWN")
    try:
        yield
    finally:
        said("scontrol", "update", "PartitionName=low", "State=UP")


def sweep_in(folder: Path) -> Sweep:
    (path,) = (folder / "outputs" / "sweeps").iterdir()
    return Sweep(path)


def logs(folder: Path, name: str) -> str:
    """What the attempts of an element said."""
    kept = (sweep_in(folder).folder / "slurm").glob(f"{name}_0_log.*")
    return "".join(file.read_text() for file in kept)


def submissions(folder: Path) -> int:
    """Times that sbatch took something."""
    return len([*(sweep_in(folder).folder / "slurm").glob("*_submission.sh")])


def at_work(folder: Path, process: "subprocess.Popen[str]") -> str:
    """The element of the first job, which has trained an epoch."""
    first(folder, "outputs/sweeps/*/jobs/000000.txt", process)
    run = sweep_in(folder).begun()[0]
    first(run, "checkpoints/last.ckpt", process)
    (name,) = (name for name, files in sweep_in(folder).given().items() if "jobs/0" in files)
    return name


def starts(folder: Path, name: str) -> int:
    return logs(folder, name).count("Starting with JobEnvironment")


def test_what_is_cancelled_is_done_again(undisturbed: Path, tmp_path: Path) -> None:
    """One that is at work, and one that waits."""
    process = command(tmp_path, *SWEEP, ONE_AT_A_TIME)
    one = at_work(tmp_path, process)
    waiting = max({*in_queue()} - {one})
    said("scancel", one, waiting)
    _, told = done(process)
    assert told.count("begins again") == 2
    assert (starts(tmp_path, one), starts(tmp_path, waiting)) == (1, 0)
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path, BY) == table(undisturbed, BY)
    records = [RunFolder(path).record() for path in sweep_in(tmp_path).planned()]
    assert {record.threads for record in records} == {1}


def test_what_is_preempted_goes_on_and_is_one_run_of_wandb(
    undisturbed: Path, tmp_path: Path
) -> None:
    process = command(tmp_path, *SWEEP, "logger=wandb")
    one = at_work(tmp_path, process)
    said("srun", "--partition=high", "--cpus-per-task=2", "true")
    _, told = done(process)
    assert starts(tmp_path, one) == 2
    assert "begins again" not in told
    assert submissions(tmp_path) == 1
    assert adapters(tmp_path) == adapters(undisturbed)
    one_run_of_wandb_each(tmp_path)


def one_run_of_wandb_each(folder: Path) -> list[list[Path]]:
    """Checks it of all attempts; returns what they left for `wandb sync`."""
    sweep = sweep_in(folder)
    runs = [sorted(path.glob("wandb/offline-run-*/*.wandb")) for path in sweep.planned()]
    assert len(runs[0]) == 2
    assert [len({file.stem for file in own}) for own in runs] == [1, 1, 1]
    assert len({file.stem for own in runs for file in own}) == 3
    return runs


def test_a_pack_that_is_out_of_time_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    """By the signal that SLURM sends then, sent by hand."""
    asked = ["pack.width=2", "launcher.minutes=9", "launcher.cpus=2", "logger=wandb"]
    process = command(tmp_path, *SWEEP, *asked)
    one = at_work(tmp_path, process)
    said("scancel", "--signal=USR2", one)
    _, told = done(process)
    assert starts(tmp_path, one) == 2
    assert "this job is timed-out" in logs(tmp_path, one)
    assert "begins again" not in told
    records = [RunFolder(path).record() for path in sweep_in(tmp_path).planned()]
    assert [(record.threads, record.pack) for record in records] == [(2, 2), (2, 2), (2, 1)]
    assert {*adapters(tmp_path)} == {*adapters(undisturbed)}
    # Of the attempt that was requeued SLURM has ended the client, before it had written anything.
    sent = [records_of(own[-1])["run"][0] for own in one_run_of_wandb_each(tmp_path)]
    assert {one.run_group for one in sent} == {sweep_in(tmp_path).folder.name}


def driver(folder: Path) -> int:
    """The process that drives a sweep, once the cluster has something of it."""
    sweep = sweep_in(folder)
    while not sweep.given():
        time.sleep(0.01)
    return int(json.loads((sweep.folder / "driver.json").read_text())["pid"])


def test_what_a_killed_driver_has_handed_over_is_not_handed_over_twice(
    undisturbed: Path, tmp_path: Path
) -> None:
    with closed():
        done(command(tmp_path, *SHORT_SWEEP, "launcher.wait=false"))
        os.kill(driver(tmp_path), signal.SIGKILL)
        told, _ = done(command(tmp_path, "sweep", "status"))
        assert "nobody drives it" in told
        names = in_queue()
        assert len(names) == 2
        process = command(tmp_path, "sweep", "resume")
        assert process.stderr is not None
        for name in names:
            while f"{name} is at work already" not in (line := process.stderr.readline()):
                assert line, "it ended"
    done(process)
    assert submissions(tmp_path) == 1
    assert adapters(tmp_path).items() <= adapters(undisturbed).items()


def test_cancel_takes_back_what_waits_and_resume_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    with closed():
        done(command(tmp_path, *SHORT_SWEEP, "launcher.wait=false"))
        process = driver(tmp_path)
        assert len(in_queue()) == 2
        _, told = done(command(tmp_path, "sweep", "cancel"))
        assert f"process {process} " in told
        while in_queue():
            time.sleep(0.1)
    done(command(tmp_path, "sweep", "resume"))
    assert submissions(tmp_path) == 2
    assert adapters(tmp_path).items() <= adapters(undisturbed).items()


def test_cancel_takes_back_what_is_at_work_and_nobody_drives(
    undisturbed: Path, tmp_path: Path
) -> None:
    done(command(tmp_path, *SWEEP, ONE_AT_A_TIME, "launcher.wait=false"))
    with ended(sweep_in(tmp_path).folder):
        os.kill(driver(tmp_path), signal.SIGKILL)
        _, told = done(command(tmp_path, "sweep", "cancel"))
        assert "packs were taken back from SLURM" in told
        while in_queue():
            time.sleep(0.1)
        done(command(tmp_path, "sweep", "resume"))
    assert submissions(tmp_path) == 2
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path, BY) == table(undisturbed, BY)
