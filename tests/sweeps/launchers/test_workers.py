"""workers=N: several processes do a sweep's jobs, and leave what one process leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from in_process import TINY, train
from safetensors.torch import load_file

from loraexp.errors import UserError
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import shares
from loraexp.runtime.shares import share
from loraexp.sweeps.plan import TRAIN, plan

GRID = ["lora.rank=1,2", "optim.lr=1e-3,1e30", "trainer.max_epochs=2", "lora.dropout=0.1", "-m"]
COMMAND = [sys.executable, "-m", "loraexp", "train", *TINY]
AS_HERE = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}


def sweep(folder: Path, *typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *typed],
        capture_output=True,
        text=True,
        cwd=folder,
        env=AS_HERE,
        timeout=300,
    )


def runs(folder: Path) -> dict[str, RunFolder]:
    return {path.name: RunFolder(path) for path in (folder / "outputs" / "train").iterdir()}


def check_same(several: dict[str, RunFolder], alone: dict[str, RunFolder]) -> None:
    assert several.keys() == alone.keys()
    for name, run in several.items():
        if run.failed:
            assert run.failure().reason == alone[name].failure().reason
            continue
        assert run.record().predictions == alone[name].record().predictions
        assert run.record().hashes == alone[name].record().hashes
        file = Path("adapter") / "adapter_model.safetensors"
        left, right = load_file(run.path / file), load_file(alone[name].path / file)
        assert all(left[key].equal(tensor) for key, tensor in right.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, two of which fail, by one process and by two."""
    folder = tmp_path_factory.mktemp("workers")
    for name in ("one", "two"):
        (folder / name).mkdir()
    status, _, said = train(folder / "one", *GRID)
    assert status == 1, said
    done = sweep(folder / "two", *GRID, "workers=2")
    assert done.returncode == 1, done.stderr
    (folder / "two.txt").write_text(done.stderr)
    return folder


def test_they_leave_what_one_process_leaves(folder: Path) -> None:
    several = runs(folder / "two")
    check_same(several, runs(folder / "one"))
    assert sorted(run.failed for run in several.values()) == [False, False, True, True]


def test_what_they_say_is_said_once_and_by_job(folder: Path) -> None:
    said = (folder / "two.txt").read_text()
    assert said.count("2 classes: ") == 1
    assert [said.count(f"job {number} of 4: ") for number in (1, 2, 3, 4)] == [2] * 4
    assert said.count("failed: ") == 2


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "cores", lambda: 7)
    monkeypatch.setattr(shares, "visible_gpus", lambda environment: [])
    assert [share(at, 3, {}) for at in range(3)] == [{"OMP_NUM_THREADS": "2"}] * 3
    assert share(0, 9, {}) == {"OMP_NUM_THREADS": "1"}
    assert share(0, 3, {"OMP_NUM_THREADS": "5"}) == {"OMP_NUM_THREADS": "5"}


def test_each_has_a_gpu_of_those_that_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    seen = {"CUDA_VISIBLE_DEVICES": "5,GPU-ab"}
    assert [share(at, 3, seen)["CUDA_VISIBLE_DEVICES"] for at in range(3)] == ["5", "GPU-ab", "5"]
    assert [share(at, 2, {})["CUDA_VISIBLE_DEVICES"] for at in range(2)] == ["0", "1"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["workers=0", "seed=0,1", "-m"], "workers must be auto or a number from 1 to 9999, got 0"),
        (["workers=many", "seed=0,1", "-m"], "workers must be auto or a number"),
        (["workers=2"], "workers=2 is for a sweep"),
        (["workers=2", "seed=0,1", "trainer=ddp_cpu", "-m"], "1 with trainer.devices=2, got 2"),
        (["workers=2", "seed=0,1", "hydra/launcher=basic", "-m"], "leave out hydra/launcher"),
        (
            ["workers=2", "search.trials=3", "lora.rank=1,2", "search.pruner=median"],
            "search.pruner=median needs workers=1, got 2",
        ),
    ],
)
def test_what_cannot_be_is_refused(typed: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        plan(TRAIN, [*TINY, *typed])
    assert said in str(refused.value)


LONG = ["seed=0,1,2", "trainer.max_epochs=60", "trainer.keep=last", "workers=2", "-m"]


DRAWN = ["lora.rank=2", "optim.lr=tag(log,interval(1e-4,1e-2))", "search.trials=4", "workers=2"]


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    """Once each of them has an epoch behind it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    folder = Path(str(process.args[-1]).partition("=")[2])  # type: ignore[index]
    while len([*folder.glob("train/*/checkpoints/last.ckpt")]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    return [int(pid) for pid in children.read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_job_of_one_that_dies_is_done_by_another(tmp_path: Path, number: int) -> None:
    (tmp_path / "one").mkdir()
    assert sweep(tmp_path / "one", *LONG[:-2], "-m").returncode == 0
    typed = [*COMMAND, *LONG, f"output_dir={tmp_path / 'outputs'}"]
    with subprocess.Popen(typed, stderr=subprocess.PIPE, text=True, env=AS_HERE) as process:
        os.kill(workers_of(process)[0], number)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count("its job begins again") == 1
    check_same(runs(tmp_path), runs(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_job_of_one_that_dies_in_a_search_begins_again(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    searching = [*DRAWN, "trainer.max_epochs=40"]
    assert sweep(tmp_path / "whole", *searching).returncode == 0
    typed = [*COMMAND, *searching, f"output_dir={tmp_path / 'outputs'}"]
    with subprocess.Popen(typed, stderr=subprocess.PIPE, text=True, env=AS_HERE) as process:
        os.kill(workers_of(process)[0], signal.SIGKILL)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count("its job begins again") == 1
    several, whole = runs(tmp_path), runs(tmp_path / "whole")
    assert len(several) == 4
    assert {name: (run.trial().metrics, run.finished) for name, run in several.items()} == {
        name: (run.trial().metrics, run.finished) for name, run in whole.items()
    }
    (best,) = [name for name, run in several.items() if run.finished]
    check_same({best: several[best]}, {best: whole[best]})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_ends_all_and_the_same_command_goes_on(tmp_path: Path) -> None:
    typed = [*COMMAND, *LONG, f"output_dir={tmp_path / 'outputs'}"]
    with subprocess.Popen(typed, stderr=subprocess.PIPE, text=True, env=AS_HERE) as process:
        workers = workers_of(process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("interrupted: the same command goes on from here\n")
    assert said.count("interrupted") == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    done = subprocess.run(typed, capture_output=True, text=True, env=AS_HERE, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in done.stderr
