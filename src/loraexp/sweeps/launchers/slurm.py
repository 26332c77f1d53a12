"""A pack of jobs as an element of a SLURM array, through submitit (>= 1.5), or, with the same
engine, as a process of this machine. submitit pickles what it hands over: here the paths of the
jobs' files; what comes of a job is read from its run's folder, never from a pickle."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.runtime.shares import cores
from loraexp.sweeps.launchers.elsewhere import Silent
from loraexp.sweeps.launchers.worker import work_through
from loraexp.sweeps.shown.next_step import command

MOST = 256  # packs in the queue
TIDY = 120  # seconds before its time is over in which a pack is told so, half of it at most
MISSES, PATIENCE = 5, 600.0  # of squeue, one after another: how many, over how many seconds
ASKED = ("partition", "account", "constraint", "cpus", "gpus", "memory_gb", "minutes")


class Pack(submitit.helpers.Checkpointable):  # type: ignore[misc]
    """What an element of the array does. Where it is preempted, or its time is over, submitit puts
    it back into the queue, and its runs go on from their last epoch."""

    def __call__(self, files: list[str]) -> None:
        work_through(files)


class Slurm:
    """Arrays of a cluster."""

    late = 30.0  # seconds in which what a node has written is seen on this machine

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.at_once = launcher.at_once or MOST
        self.folder, self.missed = folder / "slurm", list[float]()
        self.shown = f"SLURM (logs: {self.folder})"
        own = {key: value for key in ASKED if (value := getattr(launcher, key)) is not None}
        typed = [f"launcher.{key}={own[key]}" for key in own if own[key] != getattr(Launcher, key)]
        self.typed = " ".join(["launcher=slurm", *typed])
        try:
            self.executor = submitit.SlurmExecutor(self.folder, max_num_timeout=launcher.requeues)
        except RuntimeError:  # its word for no `srun`
            raise UserError(
                "launcher=slurm: there is no srun on this machine; type it on a login node of the "
                "cluster, or launcher.cluster=local"
            ) from None
        self.executor.update_parameters(**parameters(launcher))

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        """Raises:
        UserError: what sbatch says of resources that there are not.
        """
        try:
            with redirect_stderr(io.StringIO()), self.executor.batch():  # it would print it as well
                jobs = [self.executor.submit(Pack(), [*map(str, files)]) for files in packs]
            return [job.job_id for job in jobs]
        except (FailedSubmissionError, FailedJobError) as error:
            lines = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines()]
            raise UserError(f"{self.typed}: sbatch: {'; '.join(filter(None, lines))}") from None

    def working(self, names: Collection[str]) -> set[str]:
        """By squeue: its accounting need not be there, and it forgets what is over.

        Raises:
            Silent: squeue fails for good.
        """
        asked = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
        # SQUEUE_STATES=RUNNING would hide what waits.
        env = {key: value for key, value in os.environ.items() if not key.startswith("SQUEUE_")}
        try:
            said = subprocess.run(
                asked, capture_output=True, text=True, timeout=60, check=True, env=env
            )
        except (subprocess.SubprocessError, OSError) as error:
            self.miss(error)
            return {*names}  # it is not there for a moment: nothing is known
        self.missed.clear()
        return {*names} & {*said.stdout.split()}

    def miss(self, error: Exception) -> None:
        self.missed.append(time.monotonic())
        count, seconds = len(self.missed), self.missed[-1] - self.missed[0]
        if count >= MISSES and seconds >= PATIENCE:
            why = str(getattr(error, "stderr", None) or error).strip().replace("\n", "; ")
            again = command("sweep", "resume", f"sweep={self.folder.parent}")
            raise Silent(
                f"launcher=slurm: squeue failed {count} times in {seconds / 60:.0f} minutes "
                f"({why}); the jobs go on: {again}"
            )

    def told(self, name: str) -> str:
        return f"SLURM's job {name} ended without a result; see {self.folder}/{name}_0_log.err"

    def cancel(self, names: Collection[str]) -> None:
        if names:
            subprocess.run(["scancel", *names], capture_output=True, check=False)

    def close(self) -> None:
        pass


class Local:
    """submitit's executor for one machine: what it is given begins at once."""

    late = 0.0

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.at_once = launcher.at_once or max(1, cores() // launcher.cpus)
        self.folder = folder / "slurm"
        self.shown = f"submitit on this machine (logs: {self.folder})"
        own = parameters(launcher)
        # submitit's own `setup` puts a shell between, which tells nobody of a signal.
        shell = " && ".join([*own["setup"], f'exec {shlex.quote(sys.executable)} "$@"'])
        self.executor = submitit.LocalExecutor(
            self.folder,
            max_num_timeout=launcher.requeues,
            python=shlex.join(["sh", "-c", shell, "loraexp"]),
        )
        self.executor.update_parameters(
            timeout_min=own["time"],
            gpus_per_node=launcher.gpus,
            signal_delay_s=own["signal_delay_s"],
        )
        self.jobs: dict[str, Any] = {}

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        jobs = [self.executor.submit(Pack(), [*map(str, files)]) for files in packs]
        self.jobs |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def working(self, names: Collection[str]) -> set[str]:
        return {name for name in names if self.is_working(name)}

    def is_working(self, name: str) -> bool:
        """A pack is named by the process that looks after it: of a driver that was killed, too."""
        if job := self.jobs.get(name):
            return not job.done()
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return {b"submitit.local._local", os.fsencode(self.folder)} <= {*words}

    def told(self, name: str) -> str:
        return f"its process ended without a result; see {self.folder}/{name}_0_log.err"

    def cancel(self, names: Collection[str]) -> None:
        for name in filter(self.is_working, names):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int(name), signal.SIGINT)  # of SIGTERM submitit's tasks take no notice

    def close(self) -> None:
        for job in self.jobs.values():
            job._process.wait()


def parameters(launcher: Launcher) -> dict[str, Any]:
    """Of an sbatch script; what is null is left to the cluster."""
    own: dict[str, Any] = {
        "job_name": "loraexp",
        "time": launcher.minutes,
        "cpus_per_task": launcher.cpus,
        "array_parallelism": launcher.at_once or MOST,
        "signal_delay_s": min(TIDY, 30 * launcher.minutes),
        "setup": [
            *([launcher.setup] if launcher.setup else []),
            f"export OMP_NUM_THREADS={launcher.cpus}",
        ],
        "partition": launcher.partition,
        "account": launcher.account,
        "constraint": launcher.constraint,
        "gpus_per_node": launcher.gpus or None,
        "mem": f"{launcher.memory_gb * 1024:.0f}MB" if launcher.memory_gb else None,
    }
    return {key: value for key, value in own.items() if value is not None}
