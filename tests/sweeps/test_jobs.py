"""A job is data: any process can do it from its file, and does what a single run does."""

import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loraexp.config.schema import TrainConfig
from loraexp.model.classifier import GPT2Classifier
from loraexp.records.record import FAILED
from loraexp.runs.run_folder import Busy, RunFolder
from loraexp.sweeps import jobs
from loraexp.sweeps.jobs import Job, do, launch
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.packs.lockstep import Pack
from loraexp.training.run import train


@pytest.fixture
def job(small: TrainConfig, tmp_path: Path) -> Job:
    sweep = Sweep(tmp_path / "outputs" / "sweeps" / "a")
    sweep.plan([RunFolder.of(small).path])
    return Job(sweep, 0, small)


@pytest.mark.parametrize("trial", [False, True])
def test_it_comes_back_from_its_file(job: Job, trial: bool) -> None:
    config = replace(job.config, rerun=True, seed=3)
    config.lora.rank_pattern = {"v_proj": 5}
    whole = replace(job, config=config, trial=trial, number=12)
    assert Job.read(whole.write()) == whole


def test_a_job_lets_go_of_the_network_of_the_one_before(job: Job) -> None:
    def networks() -> int:
        return sum(isinstance(one, GPT2Classifier) for one in gc.get_objects())

    runs = [replace(job.config, seed=seed) for seed in range(5)]
    gc.collect()
    before = networks()
    gc.disable()
    try:
        for number, config in enumerate(runs[:3]):
            do(replace(job, number=number, config=config))
        assert networks() - before == 1
        for config in runs[3:]:  # the control: nobody tidies up
            train(config)
        assert networks() - before == 3
    finally:
        gc.enable()


def test_a_process_of_its_own_leaves_what_this_one_does(job: Job, tmp_path: Path) -> None:
    do(job)
    here = RunFolder.of(job.config)
    other = replace(job.config, output_dir=str(tmp_path / "other"))
    sweep = Sweep(tmp_path / "other" / "sweeps" / "a")
    sweep.plan([RunFolder.of(other).path])
    command = [
        sys.executable,
        "-m",
        "loraexp.sweeps.launchers.worker",
        str(Job(sweep, 0, other).write()),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "parameters train" in ended.stderr
    there = RunFolder.of(other)
    assert there.record().hashes == here.record().hashes
    assert sweep.begun() == [there.path.resolve()]
    names = {file.name for file in here.path.rglob("*")}
    assert {file.name for file in there.path.rglob("*")} == names


def test_a_run_that_another_process_took_over_is_waited_for_alone_and_left_in_a_pack(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([Busy("taken over"), None])

    def taken(*given: Any, **more: Any) -> Any:
        if error := next(turns, Busy("taken over")):
            raise error
        return train(*given, **more)

    monkeypatch.setattr(jobs, "train", taken)
    assert do(job) == RunFolder.of(job.config).record()
    with pytest.raises(Busy):
        do(job, member=Pack([print]).members[0])
    assert not (RunFolder.of(job.config).path / FAILED).exists()


@pytest.mark.skipif(not Path("/bin/false").exists(), reason="there is no /bin/false here")
def test_a_process_that_dies_is_a_job_that_failed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(job.config, trainer=replace(job.config.trainer, devices=2))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    watch = Watch("a", [], tuned=False, on_screen=False)
    outcome = launch(replace(job, config=config), watch)
    assert outcome == RunFolder.of(config).failure()
    assert [one.reason for one in watch.board.failures] == ["its process ended with status 1"]
