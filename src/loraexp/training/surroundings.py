"""Context managers around a run: its folder claimed, Lightning quiet, the process left as found."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from loraexp.errors import UserError
from loraexp.hush import hushed

LOCK = ".lock"
# Lightning's advice that does not hold for small token lists in memory, or that we follow.
KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own call of torch
    ".*The number of training batches .* is smaller than the logging interval.*",
)


def is_main_process() -> bool:
    """False in the further processes that Lightning starts for DDP."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


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


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its banners and the warnings we have dealt with."""
    loggers = (logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric"))
    with hushed(*loggers), warnings.catch_warnings():
        for message in KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def restored_environment() -> Iterator[None]:
    """Undo what DDP leaves in the process, so that a sweep's next job starts its own group."""
    before = dict(os.environ)
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)
