"""A disk that fills up during a sweep ends it with one line, and what is complete stays."""

import errno
from pathlib import Path

import pytest

from loraexp.config import TrainConfig
from loraexp.errors import UserError
from loraexp.results.record import Failure
from loraexp.results.sweep import Sweep
from loraexp.training.jobs import going_on


def test_it_says_what_is_complete_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, done = Sweep(tmp_path), tmp_path / "done"
    sweep.begin(0, done)
    sweep.begin(1, tmp_path / "open")
    done.mkdir()
    (done / "record.json").touch()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("loraexp.results.record.write_whole", full)
    wanted = "^No space left on device: 1 jobs are complete .* the same command goes on from here$"
    with pytest.raises(UserError, match=wanted), going_on(sweep):
        Failure("a", {"seed": TrainConfig().seed}, "no memory", "").write(tmp_path / "open")
