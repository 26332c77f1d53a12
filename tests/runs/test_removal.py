"""A run is removed whole or stays whole, and what anybody else left in its folder stays."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from made_records import record

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import FILE
from loraexp.runs.removal import GONE, finish, remove, strangers
from loraexp.runs.run_folder import LOCK, Busy, RunFolder
from loraexp.sweeps.shown.collect import candidates
from loraexp.sweeps.shown.listing import leftovers, listing
from loraexp.training.run import train


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "train" / finished.name))


def test_of_a_run_nothing_stays(run: Path) -> None:
    (run / "checkpoints" / ".partial-1-last.ckpt").touch()
    remove(run)
    assert [*run.parent.iterdir()] == []


@pytest.mark.parametrize("logger", ["csv", "none"])
def test_all_that_a_run_writes_is_its_own(small: TrainConfig, logger: str) -> None:
    small.logger.name = logger
    train(small)
    assert strangers(RunFolder.of(small).path) == []


STRANGERS = {
    "a file": lambda run: (run / "notes.txt").write_text("mine"),
    "one that looks like ours": lambda run: (run / "metrics.csv.bak").touch(),
    "a folder": lambda run: (run / "mine").mkdir(),
    "a file below": lambda run: (run / "adapter" / "mine.json").touch(),
    "a link by our name": lambda run: (run / "loss.png").symlink_to("/etc/hostname"),
    "a link to a folder by our name": lambda run: (run / "checkpoints").symlink_to("/tmp"),
    "a folder by a file's name": lambda run: (run / "metrics.csv").mkdir(),
    "a fifo by our name": lambda run: os.mkfifo(run / "table.md"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_folder_with_anything_of_others_stays_as_it_is(run: Path, kind: str) -> None:
    shutil.rmtree(run / "checkpoints")
    STRANGERS[kind](run)
    before = sorted(run.rglob("*"))
    with pytest.raises(UserError, match="it holds what no run has written: "):
        remove(run)
    assert sorted(run.rglob("*")) == before


def test_a_link_to_a_run_is_no_run(run: Path) -> None:
    link = run.with_name("link")
    link.symlink_to(run)
    with pytest.raises(UserError, match="it is a link"):
        remove(link)
    assert (run / FILE).is_file()


def test_what_is_below_a_run_is_none(run: Path) -> None:
    shutil.copytree(run / "adapter", run / "checkpoints" / "a-copy")
    shutil.copy(run / FILE, run / "checkpoints" / "a-copy")
    assert [*candidates(run.parent)] == [run]
    (run / FILE).unlink()  # the control
    assert [*candidates(run.parent)] == [run / "checkpoints" / "a-copy"]


def test_a_run_that_is_held_stays_and_goes_once_it_is_not(run: Path) -> None:
    with FileLock(run / LOCK):
        assert RunFolder(run).busy
        with pytest.raises(Busy):
            remove(run)
    assert (run / FILE).is_file()
    assert not RunFolder(run).busy
    remove(run)
    assert not run.exists()


@pytest.mark.parametrize("files", range(6))
def test_a_kill_in_between_leaves_no_run_and_the_next_removal_ends_it(
    run: Path, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, unlink = [0], Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if gone[0] == files:
            raise KeyboardInterrupt
        gone[0] += 1
        unlink(path, missing_ok)

    whole = [run.resolve()]
    assert [*candidates(run.parent)] == whole
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(run)
    (left,) = run.parent.iterdir()
    assert left.name == f"{GONE}1-{run.name}"
    assert [*candidates(run.parent)] == [] == listing([str(run.parent)], [])
    assert leftovers([str(run.parent.parent)]) == [left]
    record(name=run.name).write(run)  # trained anew, and removed again
    remove(run)
    finish(left)
    assert [*run.parent.iterdir()] == []


def test_what_came_while_it_was_removed_is_found_and_kept(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        (moved / "notes.txt").write_text("mine")
        return moved

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(UserError, match=r"written: notes\.txt"):
        remove(run)
    (left,) = run.parent.iterdir()
    assert (left / "notes.txt").read_text() == "mine"
    assert (left / FILE).is_file()
