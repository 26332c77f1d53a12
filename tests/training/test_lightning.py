"""What lies about and what a cluster sets: Lightning loads and leaves only what we name."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback
from small import small_run

from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.runtime.ranks import MAIN, is_main_process
from loraexp.tools.verification import verify
from loraexp.training.measure import measure_again
from loraexp.training.run import train

SLURM = {
    "SLURM_NTASKS": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_JOB_ID": "7",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "node1",
}
# Names that Lightning gives to files or looks for, in the current folder or in a run's.
STRAY = ("hpc_ckpt_1.ckpt", "hpc_ckpt_99.ckpt", "last.ckpt", "best.ckpt", ".pl_auto_save.ckpt")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The adapter's hash of seed 7, trained where nothing lies about."""
    record = train(small_seed(tmp_path_factory.mktemp("alone"), 7))
    return record.hashes


def small_seed(outputs: Path, seed: int) -> TrainConfig:
    return replace(small_run(outputs, epochs=1, logger="none"), seed=seed)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A job of SLURM's, in a folder of its own."""
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Signal(Callback):
    """What a cluster sends before it ends a job."""

    def on_train_batch_end(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)


def test_sigusr1_under_slurm_leaves_nothing_and_is_left_to_the_user(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        train(small_seed(slurm / "outputs", 0), progress=Signal())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard
    assert {path.name for path in slurm.iterdir()} == {"outputs"}
    assert not [*slurm.rglob("hpc_ckpt*")]


def test_a_login_node_has_srun_and_no_run_is_warned_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "srun").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.warns(UserWarning, match="srun"):
        SLURMEnvironment.detect()
    train(small_seed(tmp_path / "outputs", 0))


@pytest.mark.parametrize("under_slurm", [True, False])
def test_strangers_checkpoints_are_not_loaded(
    under_slurm: bool, request: pytest.FixtureRequest, tmp_path: Path, alone: dict[str, Any]
) -> None:
    if under_slurm:
        request.getfixturevalue("slurm")
    else:
        request.getfixturevalue("monkeypatch").chdir(tmp_path)
    other = small_seed(tmp_path / "other", 0)
    other.trainer.keep = "last"
    train(other)
    checkpoint = run_folder(other) / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["state_dict"]  # what could be loaded
    config = small_seed(tmp_path / "outputs", 7)
    run = run_folder(config)
    for folder in (tmp_path, run, run / "checkpoints", run / "lightning_logs"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in STRAY:
            (folder / name).write_bytes(checkpoint.read_bytes())
    record = train(config)
    assert record.hashes == alone
    assert record.hashes["adapter"] != train(other).hashes["adapter"]
    assert measure_again(run, "test") == record.metrics["test"]
    assert [check.field for check in verify(run) if check.off] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LOCAL_RANK", "1"), ("RANK", "3"), ("WORLD_SIZE", "4"), ("SLURM_PROCID", "3")),
        *(("NODE_RANK", "2"), (MAIN, "1"), ("PL_TRAINER_MAX_STEPS", "1")),
        *(("PL_TRAINER_LIMIT_TRAIN_BATCHES", "1"), ("PL_TRAINER_FAST_DEV_RUN", "1")),
    ],
)
def test_a_variable_of_the_shell_changes_no_run(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alone: dict[str, Any]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    assert is_main_process()
    config = replace(small_seed(tmp_path, 7), logger=replace(small_run(tmp_path, 1, "csv").logger))
    assert train(config).hashes == alone
    assert (run_folder(config) / "metrics.csv").is_file()
    assert os.environ[name] == value


def test_a_process_that_lightning_started_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAIN, str(os.getppid()))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_main_process()
    monkeypatch.setenv(MAIN, str(os.getppid() + 1))
    assert is_main_process()


def test_two_jobs_in_a_row_both_train(slurm: Path, alone: dict[str, Any]) -> None:
    fitted = [train(small_seed(slurm / "outputs", seed)).hashes["adapter"] for seed in (0, 7)]
    assert fitted[0] != fitted[1] == alone["adapter"]
