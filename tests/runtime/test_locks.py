"""One process at a time holds a folder, on file systems with flock and without."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import without_flock

from loraexp.runtime import locks
from loraexp.runtime.lease import Held
from loraexp.runtime.locks import LEASE, LOCK, Lock, shared, tell


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", without_flock.refuse)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_where_flock_works_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()  # of a version before
    lock, other = Lock(tmp_path), Lock(tmp_path)
    lock.acquire()
    assert lock.held
    assert other.busy
    with pytest.raises(Held):
        other.acquire()
    assert names(tmp_path) == {LOCK}
    lock.release()
    assert not other.busy
    other.acquire()
    other.release()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_system_that_refuses_flock_is_told_of_once_and_a_lease_is_held(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    tell.cache_clear()
    lock = Lock(tmp_path)
    if number == errno.EIO:  # the control: a disk that fails has not said that it has no flock
        with pytest.raises(OSError, match=os.strerror(number)):
            lock.acquire()
        assert names(tmp_path) == {LOCK}
        return
    with caplog.at_level(logging.INFO, logger="loraexp"):
        for _ in range(2):
            lock.acquire()
            assert names(tmp_path) == {LOCK, LEASE}
            assert lock.held
            assert Lock(tmp_path).busy
            with pytest.raises(Held, match=rf"another process, {os.getpid()} on "):
                Lock(tmp_path).acquire()
            lock.release()
            assert names(tmp_path) == {LOCK}
            assert not Lock(tmp_path).busy
    (line,) = [record.message for record in caplog.records if "no flock" in record.message]
    assert "every 10 s" in line
    assert "after 60 s" in line


def test_of_two_processes_without_flock_one_holds_and_killed_it_is_taken_over(
    tmp_path: Path, no_flock: None
) -> None:
    typed = [sys.executable, without_flock.__file__, "hold", str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(typed, **pipes) as one, subprocess.Popen(typed, **pipes) as two:
        said = {process: process.stdout.readline() for process in (one, two)}  # type: ignore[union-attr]
        assert sorted(said.values()) == ["held\n", "refused\n"]
        holder = one if said[one] == "held\n" else two
        with pytest.raises(Held, match=rf"another process, {holder.pid} on "):
            Lock(tmp_path).acquire()
        assert Lock(tmp_path).busy
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=60)
        assert (tmp_path / LEASE).is_file()
        assert not Lock(tmp_path).busy
        lock = Lock(tmp_path)
        lock.acquire()
        assert lock.held
        lock.release()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(kind, True) for kind in ("nfs4", "fuse.sshfs", "lustre", "9p")]
    + [(kind, False) for kind in ("ext4", "overlay", "fuseblk", "tmpfs")],
)
def test_a_network_file_system_is_known_by_its_type(
    kind: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, mounts = tmp_path.stat().st_dev, tmp_path / "mounts"
    number = f"{os.major(device)}:{os.minor(device)}"
    lines = [f"30 1 {number} / / rw shared:1 - {kind} nfs:/a rw", "31 1 0:999 / /b rw - nfs4 x rw"]
    mounts.write_text("\n".join(lines))
    monkeypatch.setattr(locks, "MOUNTS", mounts)
    assert shared(tmp_path) is expected
    monkeypatch.setattr(locks, "MOUNTS", tmp_path / "none")
    assert not shared(tmp_path)


def test_a_flock_that_only_its_machine_knows_lets_no_second_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "shared", lambda folder: True)
    one, two = Lock(tmp_path), Lock(tmp_path)
    one.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(locks, "exclusive", lambda number: None)  # of another machine
        with pytest.raises(Held):
            two.acquire()
        patch.setattr(locks, "shared", lambda folder: False)
        two.acquire()  # the control
        two.release()
    assert one.held
    one.release()
    assert names(tmp_path) == {LOCK}


def test_a_full_disk_leaves_no_lease(
    tmp_path: Path, no_flock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Lock(tmp_path).acquire()
    assert names(tmp_path) == {LOCK}
