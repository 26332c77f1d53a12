"""The lock on a run's folder: one process at a time trains a run."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from loraexp.errors import UserError
from loraexp.runtime.ranks import is_main_process

LOCK = ".lock"


class Busy(UserError):
    """Another process trains this run."""


@contextmanager
def claimed(folder: Path, patient: bool = False) -> Iterator[None]:
    """Hold a run's folder: a second process that wants the same run is told so, or waits.

    Raises:
        Busy: another process holds it, and `patient` is False.
    """
    if not is_main_process():  # the main one holds it
        yield
        return
    lock = held(folder, patient)
    try:
        for partial in folder.rglob(".partial-*"):  # of a process that was killed while writing
            partial.unlink()
        yield
    finally:
        forsake(folder)
        lock.release()


def held(folder: Path, patient: bool) -> FileLock:
    """The lock on a folder, which is made where there is none."""
    lock = FileLock(folder / LOCK)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=-1 if patient else 0)
            return lock
        except Timeout:
            raise Busy(f"{folder} is being trained by another process") from None
        except FileNotFoundError:
            continue  # who held it before has just removed the folder


def forsake(folder: Path) -> None:
    """Remove a folder, held by us, that has nothing but its lock: of a run that was refused.

    Who waited for the lock sees that its file is gone and makes another; if that happens before the
    folder is removed, the folder is not empty and stays.
    """
    if [file.name for file in folder.iterdir()] == [LOCK]:
        with suppress(OSError):  # Windows removes no open file
            (folder / LOCK).unlink()
            folder.rmdir()
