"""Context managers around a run: its folder claimed, Lightning quiet, the process left as found."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from loraexp.errors import UserError
from loraexp.runtime.quiet import hushed

LOCK = ".lock"
# Lightning's advice that does not hold for small token lists in memory, or that we follow.
KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own call of torch
    ".*The number of training batches .* is smaller than the logging interval.*",
)


# Set to the number of the process that trains, for those that Lightning starts beside it.
MAIN = "LORAEXP_MAIN"
# Where Lightning looks for checkpoints of its own (hpc_ckpt_*.ckpt) and would leave them: no folder
# can be there, whatever lies in the current one.
NOWHERE = os.devnull


def is_main_process() -> bool:
    """False in the further processes that Lightning or torchrun starts for DDP."""
    return is_alone() or os.environ.get("LOCAL_RANK", "0") == "0"


def is_alone() -> bool:
    """Did a user start this process, and nobody that trains together with it? A rank in the
    environment of a shell or of a cluster's job says nothing about this."""
    beside = os.environ.get(MAIN) == str(os.getppid())
    return not beside and not TorchElasticEnvironment.detect()


class OwnEnvironment(LightningEnvironment):
    """Processes on this machine that Lightning itself starts. What Lightning would find out by
    itself (SLURM, LSF, MPI, ranks) is left aside: under SLURM it would save on SIGUSR1 what the
    next run in that folder then loads."""

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(self.local_rank())  # Lightning took it from SLURM_PROCID or RANK

    def local_rank(self) -> int:
        return 0 if is_alone() else super().local_rank()

    def node_rank(self) -> int:
        return 0


def cluster_environment() -> ClusterEnvironment:
    """Ours, unless torchrun has started the processes."""
    elastic = TorchElasticEnvironment.detect()
    return TorchElasticEnvironment() if elastic else OwnEnvironment()


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
    """Undo what DDP leaves in the process, so that a sweep's next job starts its own group; and no
    variable sets what the config does not know of."""
    before = dict(os.environ)
    if is_alone():
        os.environ[MAIN] = str(os.getpid())
        os.environ.pop("LOCAL_RANK", None)  # Lightning sets it where it has started others
    for name in before:
        if name.startswith("PL_TRAINER_"):  # defaults of Lightning's Trainer
            del os.environ[name]
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)
