"""A sweep's lines: a job is told by what varies, and how long the rest will take."""

import os
from collections.abc import Callable
from pathlib import Path

from loraexp.results.record import Record, Trial
from loraexp.results.sweep import Sweep, telling

MakeRecord = Callable[..., Record]


def test_a_job_is_told_by_what_varies(make_record: MakeRecord) -> None:
    made = [
        make_record({"seed": s, "optim.lr_factor": f}, name="a") for s in (0, 1) for f in (1.0, 3.0)
    ]
    assert telling(made[3], made) == "seed=1, lr_factor=3.0: a"
    assert telling(made[0], made[:1]) == "a"


def test_a_search_says_how_long_is_left(make_record: MakeRecord, tmp_path: Path) -> None:
    sweep, run = Sweep(tmp_path / "sweep"), tmp_path / "run"
    sweep.plan([run])
    os.utime(sweep.folder / "plan.txt", (0, 0))
    sweep.begin(0, run)
    Trial("a", make_record().config, {"loss": 0.5, "accuracy": 0.9}, "").write(run)
    line = sweep.standing(1, jobs=4)
    assert line.startswith("job 2 of 4; best validation loss so far 0.5000; about ")
    assert line.endswith(" left")
