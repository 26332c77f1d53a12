"""Lightning as this project runs it: an environment of processes of its own, and quiet."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer

from loraexp.config.schema import Trainer as Settings
from loraexp.records.record import Record
from loraexp.runtime import hardware
from loraexp.runtime.quiet import quieted
from loraexp.runtime.ranks import MAIN, by_torchrun, is_alone

log = logging.getLogger("loraexp")
# Lightning's advice that does not hold for small token lists in memory, or that we follow.
KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own call of torch
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*The `srun` command is available on your system but is not used.*",  # as on a login node
)
# Where Lightning looks for checkpoints of its own (hpc_ckpt_*.ckpt) and would leave them: no folder
# can be there, whatever lies in the current one.
NOWHERE = os.devnull


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


class Together(Callback):
    """What ends the main process of DDP ends those that it started: left alone they would wait, or
    complain of a closed connection. Lightning's own answer to SIGTERM is a broadcast in the middle
    of whatever is going on, and hangs: a handler that was there before has its place back."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if callable(self.handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)

    on_validation_start = on_test_start = on_train_start

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)


def cluster_environment() -> ClusterEnvironment:
    """Ours, unless torchrun has started the processes."""
    return TorchElasticEnvironment() if by_torchrun() else OwnEnvironment()


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its banners and the warnings we have dealt with."""
    loggers = (logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric"))
    with quieted(*loggers), warnings.catch_warnings():
        for message in KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


inside = False  # of `settled`


@contextmanager
def settled() -> Iterator[None]:
    """What one run, or all runs of a pack, may change of the process, changed back at the end. Of
    several that are within each other the first does it."""
    global inside
    if inside:
        yield
        return
    inside = True
    try:
        with quiet(), restored_environment():
            yield
    finally:
        inside = False


@contextmanager
def restored_environment() -> Iterator[None]:
    """Undo what DDP leaves in the process, so that a sweep's next job starts its own group, and
    what a resumed or repeated run sets, its threads; no variable sets what the config does not
    know of."""
    before, threads = dict(os.environ), torch.get_num_threads()
    if is_alone():
        os.environ[MAIN] = str(os.getpid())
        os.environ.pop("LOCAL_RANK", None)  # Lightning sets it where it has started others
    for name in before:
        if name.startswith("PL_TRAINER_"):  # defaults of Lightning's Trainer
            del os.environ[name]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        # torchrun's processes stay together to their end: its store keeps the addresses of a group
        # that is gone, and the next one would wait for an answer of these.
        grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
        if grouped and not by_torchrun():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)


def threads_of(record: Record, trainer: Settings) -> int | None:
    """As many as the run of a record had, which then gives the same bits again; None where its
    device is another, for it would not."""
    threads = record.threads
    if threads is None:
        return None
    here = hardware.device_name(trainer.accelerator, trainer.devices, threads)
    return threads if record.device == here else None


@contextmanager
def threads_as(record: Record | None, trainer: Settings) -> Iterator[None]:
    """Measure with as many as the run of a record had, if it was on such a device: its figures to
    the digit."""
    before = torch.get_num_threads()
    torch.set_num_threads((record and threads_of(record, trainer)) or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
