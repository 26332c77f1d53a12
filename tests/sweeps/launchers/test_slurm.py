"""What is asked of SLURM's programs, and what is said of their answers; tests/slurm has the real
ones."""

import os
import re
from pathlib import Path

import pytest

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.launchers import elsewhere
from loraexp.sweeps.launchers.crew import crew
from loraexp.sweeps.live.watch import Unseen
from loraexp.sweeps.sweep_folder import Sweep

pytest.importorskip("submitit", reason="pip install 'loraexp[slurm]'")
from loraexp.sweeps.launchers import slurm
from loraexp.sweeps.launchers.slurm import Slurm, parameters

REFUSED = """echo 'sbatch: error: invalid partition specified: nope' >&2
echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2
exit 1"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs, the first in which they are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def program(folder: Path, name: str, lines: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def test_what_sbatch_refuses_is_one_line_with_the_keys_as_typed(
    programs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, lines in (("srun", ""), ("sbatch", REFUSED)):
        program(programs, name, lines)
    engine = Slurm(Launcher(name="slurm", partition="nope", minutes=7), tmp_path)
    for packs in ([[Path("0.json")]], [[Path("0.json")], [Path("1.json")]]):  # an array has a way
        with pytest.raises(UserError) as told:
            engine.submit(packs)
        assert str(told.value) == (
            "launcher=slurm launcher.partition=nope launcher.minutes=7: sbatch: invalid partition "
            "specified: nope; Batch job submission failed: Invalid partition name specified"
        )
    assert capfd.readouterr() == ("", "")


def test_one_pack_or_many_have_the_names_that_squeue_has(programs: Path, tmp_path: Path) -> None:
    program(programs, "srun")
    program(programs, "sbatch", "echo Submitted batch job 7")
    program(programs, "squeue", '[ -n "$SQUEUE_STATES" ] || printf "7_0\\n7_2\\n"')
    engine = Slurm(Launcher(name="slurm"), tmp_path)
    assert engine.submit([[Path("0.json")]]) == ["7"]
    names = engine.submit([[Path(f"{n}.json")] for n in range(3)])
    assert names == ["7_0", "7_1", "7_2"]
    assert engine.working(names) == {"7_0", "7_2"}


@pytest.mark.parametrize("gpus", [0, 2])
def test_sbatch_is_asked_for_gpus_where_they_are(programs: Path, tmp_path: Path, gpus: int) -> None:
    program(programs, "srun")
    program(programs, "sbatch", f'cat "$1" > {tmp_path}/taken; echo Submitted batch job 7')
    Slurm(Launcher(name="slurm", gpus=gpus), tmp_path).submit([[Path("0.json")]])
    lines = (tmp_path / "taken").read_text().splitlines()
    assert [line for line in lines if "gpus-per" in line] == ["#SBATCH --gpus-per-node=2"] * bool(
        gpus
    )


def test_what_a_shell_has_for_squeue_hides_nothing(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "srun")
    program(programs, "squeue", '[ "$SQUEUE_STATES" = RUNNING ] || echo 7')
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    assert Slurm(Launcher(name="slurm"), tmp_path).working(["7"]) == {"7"}


def test_a_squeue_that_fails_says_that_nothing_is_over(programs: Path, tmp_path: Path) -> None:
    program(programs, "srun")
    program(programs, "squeue", "exit 1")
    assert Slurm(Launcher(name="slurm"), tmp_path).working(["7"]) == {"7"}


class Clock:
    """One on which only sleep takes time, a minute at least; it stops the process at last."""

    def __init__(self, stops: float) -> None:
        self.now, self.stops = 0.0, stops

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(60.0, seconds)
        if self.now > self.stops:
            raise KeyboardInterrupt


@pytest.fixture
def sweep(programs: Path, tmp_path: Path) -> Sweep:
    """Of which SLURM has a job, and where scancel, if it is called, leaves a file."""
    for name, lines in (
        ("srun", ""),
        ("sbatch", "echo Submitted batch job 7"),
        ("scancel", f"touch {tmp_path}/cancelled"),
    ):
        program(programs, name, lines)
    return Sweep(tmp_path / "sweep")


def drive(sweep: Sweep, config: TrainConfig, clock: Clock) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm, "time", clock)
        patch.setattr(elsewhere, "time", clock)
        protocol = Protocol(launcher=Launcher(name="slurm"))
        with crew(protocol, Unseen(), sweep.folder) as do:
            do([Job(sweep, 0, config)])


def test_a_squeue_that_fails_for_good_ends_the_driver_and_no_job(
    programs: Path, sweep: Sweep, small: TrainConfig
) -> None:
    program(programs, "squeue", "echo 'slurm_load_jobs error: no answer' >&2; exit 1")
    clock = Clock(stops=10 * slurm.PATIENCE)
    with pytest.raises(UserError) as told:
        drive(sweep, small, clock)
    assert re.fullmatch(
        r"launcher=slurm: squeue failed \d+ times in 10 minutes \(slurm_load_jobs error: no "
        rf"answer\); the jobs go on: \S+ -m loraexp sweep resume sweep={sweep.folder}",
        str(told.value),
    )
    assert clock.now < 1.1 * slurm.PATIENCE
    assert [*sweep.given()] == ["7"]  # who resumes it finds it there
    cancelled = sweep.folder.with_name("cancelled")
    assert not cancelled.exists()
    with pytest.raises(KeyboardInterrupt):  # a control: what the job is taken back by
        drive(sweep, small, Clock(stops=slurm.PATIENCE / 2))
    assert cancelled.exists()


def test_a_squeue_that_answers_now_and_then_is_waited_for(
    programs: Path, sweep: Sweep, small: TrainConfig
) -> None:
    seen = sweep.folder.with_name("seen")
    other = f"if [ -e {seen} ]; then rm {seen}; echo 7; else touch {seen}; exit 1; fi"
    program(programs, "squeue", other)
    with pytest.raises(KeyboardInterrupt):
        drive(sweep, small, Clock(stops=2 * slurm.PATIENCE))


def test_no_srun_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no srun on this machine.*launcher\.cluster=local"):
        Slurm(Launcher(name="slurm"), tmp_path)


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 30), (3, 90), (4, 120), (240, 120)])
def test_a_pack_is_told_of_its_end_in_the_second_half_of_its_time(
    minutes: int, seconds: int
) -> None:
    assert parameters(Launcher(name="slurm", minutes=minutes))["signal_delay_s"] == seconds
