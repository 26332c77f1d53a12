"""The real engines on this machine: a sweep that they do ends in the table of one that nobody
disturbed, whatever is killed in between."""

import os
import signal
import time
from pathlib import Path

import pytest
from engines import adapters, command, done, ended, first, table, table_of_accuracy, workers_of
from in_process import TINY

from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.sweep_folder import Sweep

pytestmark = pytest.mark.slow
GRID = ["lora.rank=1,2", "seed=0,1,2", "trainer.max_epochs=6", "lora.dropout=0.1", "-m"]
ENGINES = {
    "slurm": ["launcher=slurm", "launcher.cluster=local", "launcher.at_once=2"],
    "ray": ["launcher=ray", "launcher.address=local", "launcher.at_once=2"],
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> list[str]:
    engine = {"slurm": "submitit", "ray": "ray"}[request.param]
    pytest.importorskip(engine, reason=f"pip install 'loraexp[{request.param}]'")
    return ENGINES[request.param]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    done(command(folder, "train", *TINY, *GRID, "workers=1", "pack.width=1"))
    return folder


def test_an_engine_leaves_what_this_process_leaves(
    engine: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    out, _ = done(command(tmp_path, "train", *TINY, *GRID, *engine))
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)
    assert "lora.rank" in out or "rank" in out


def test_a_pack_that_is_killed_is_done_again(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
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
    pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
    process = command(tmp_path, "train", *TINY, *GRID, *ENGINES["slurm"], "pack.width=3")
    first(tmp_path, "outputs/train/*/checkpoints/last.ckpt", process)
    (one, *_) = workers_of(f"submitit.core._submit {tmp_path}")
    os.kill(one, signal.SIGUSR2)
    done(process)
    logs = "".join(f.read_text() for f in tmp_path.glob("outputs/sweeps/*/slurm/*_log.*"))
    assert "preempted" in logs
    assert table_of_accuracy(tmp_path) == table_of_accuracy(undisturbed)


def test_the_prompt_comes_back_and_the_sweep_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
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
    pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
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


def test_a_search_goes_on_without_who_typed_it(tmp_path: Path) -> None:
    """Left, cancelled and resumed, it draws and finds what one does that is waited for."""
    pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
    space = ["search.trials=4", "lora.rank=choice(1,2,4)", "optim.lr=tag(log,interval(1e-4,1e-1))"]
    words = [*TINY, *space, "trainer.max_epochs=6", *ENGINES["slurm"]]
    waited, left = tmp_path / "waited", tmp_path / "left"
    done(command(waited, "train", *words))
    done(command(left, "train", *words, "launcher.wait=false"))
    (folder,) = (left / "outputs" / "searches").iterdir()
    with ended(folder):
        while not [*left.glob("outputs/train/*/validation.json")]:
            time.sleep(0.01)
        _, said = done(command(left, "sweep", "cancel"))
        assert "was told to end" in said
        while (folder / "driver.json").exists():
            time.sleep(0.01)
        assert not workers_of(f"submitit.core._submit {left}")
        out, _ = done(command(left, "sweep", "status"))
        assert "nobody drives it" in out
        done(command(left, "sweep", "resume"))
    out, _ = done(command(left, "sweep", "status"))
    assert "4 of 4 trials tried, the best one measured" in out
    assert table(left) == table(waited)
    (one, other) = (next(at.glob("outputs/searches/*/trials.csv")) for at in (waited, left))
    assert one.read_text() == other.read_text()
