"""A process of another engine, which begins in a folder of its own."""

from pathlib import Path

import pytest

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.sweeps.jobs import Job, directory_of
from loraexp.sweeps.launchers.worker import go_to
from loraexp.sweeps.sweep_folder import Sweep


@pytest.fixture
def typed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "where it was typed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_job_is_done_where_its_sweep_was_typed(
    typed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Job(Sweep(Path("outputs/sweeps/one")), 0, TrainConfig()).write().resolve()
    monkeypatch.chdir(tmp_path)
    go_to(directory_of(file), ["outputs"])
    assert Path.cwd() == typed_in


def test_results_are_left_nowhere_else(
    typed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed_in.rmdir()
    with pytest.raises(UserError, match="where the sweep was typed: No such file or directory on"):
        go_to(typed_in, ["outputs", str(tmp_path)])
    go_to(typed_in, [str(tmp_path)])
    assert Path.cwd() == tmp_path
