"""A sweep's folder: a job is told by what varies, and the folder may be moved."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from loraexp.records.record import Record
from loraexp.sweeps.shown.collect import collect
from loraexp.sweeps.sweep_folder import Sweep, describe_job

MakeRecord = Callable[..., Record]


def test_a_job_is_told_by_what_varies(make_record: MakeRecord) -> None:
    made = [
        make_record({"seed": s, "optim.lr_factor": f}, name="a") for s in (0, 1) for f in (1.0, 3.0)
    ]
    assert describe_job(made[3], made) == "seed=1, lr_factor=3.0: a"
    assert describe_job(made[0], made[:1]) == "a"


@pytest.mark.parametrize("old", [False, True], ids=["relative", "whole paths, as before"])
@pytest.mark.parametrize("move", [Path.rename, shutil.copytree], ids=["moved", "copied"])
def test_a_sweep_elsewhere_has_its_own_runs(
    old: bool, move: Callable[..., object], make_record: MakeRecord, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    runs = [outputs / "train" / name for name in ("a", "b")]
    sweep = Sweep(outputs / "sweeps" / "monday")
    sweep.plan(runs)
    for number, run in enumerate(runs):
        make_record(name=run.name).write(run)
        sweep.begin(number, run)
    for file in (sweep.folder / "plan.txt", *sweep.folder.glob("jobs/*.txt")):
        assert str(tmp_path) not in file.read_text()
        if old:
            lines = file.read_text().replace("../..", str(outputs))
            file.write_text(lines)
    assert sweep.planned() == sweep.begun() == runs
    move(outputs, tmp_path / "elsewhere")
    moved = Sweep(tmp_path / "elsewhere" / "sweeps" / "monday")
    there = [tmp_path / "elsewhere" / "train" / name for name in ("a", "b")]
    assert moved.planned() == moved.begun() == there
    assert [one.name for one in moved.outcomes()] == ["a", "b"]
    assert set(collect([str(moved.folder)], []).runs) == {*there}
