"""A SLURM of this machine alone, on the loopback, in a temporary folder; and as a program, python
tests/slurm/loopback.py COMMAND, a command beside it. Two cores; what is queued in `high` preempts
what is at work in `low`, which goes back into the queue."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "srun")
IDLE = "sinfo --noheader --format=%t | grep -qx idle"
APT = "apt-get install -y --no-install-recommends slurm-wlm munge"
# cred_expire: seconds until what was put back into the queue may begin again, 120 by default.
# KillWait: seconds from SIGTERM to SIGKILL.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=1000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=1
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""


def path() -> str:
    """PATH with where Debian has the daemons."""
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


def missing() -> list[str]:
    """Programs that are not there."""
    return [name for name in NEEDED if shutil.which(name, path=path()) is None]


def port() -> int:
    """One that is free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(*command: str, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon in the foreground, while the block lasts, and no longer than this process."""
    own, quiet = ["setpriv", "--pdeathsig", "TERM", *command], subprocess.DEVNULL
    process = subprocess.Popen(own, env=environment, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(command: str, environment: dict[str, str]) -> None:
    """Wait until a command of the shell succeeds.

    Raises:
        TimeoutError: it did not in a minute.
    """
    end = time.monotonic() + 60
    while time.monotonic() < end:
        own = subprocess.run(command, shell=True, env=environment, capture_output=True, check=False)
        if own.returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{command}: {own.stdout!r} {own.stderr!r}")


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """While the block lasts there is a SLURM; yields the environment in which its commands find it.

    Args:
        folder: for its files; short, for a socket is among them.
    """
    folder.chmod(0o755)  # munged asks for it
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").touch(0o600)
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    config = CONFIG.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        user=getpass.getuser(),
        controller_port=port(),
        node_port=port(),
    )
    (folder / "slurm.conf").write_text(config)
    # What the shell has of another cluster, or of a job of one, is not of this one.
    others = ("SLURM", "SBATCH", "SQUEUE", "SALLOC", "SRUN", "SCANCEL")
    own = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    own |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path()}
    files = [
        *(f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")),
        f"--socket={folder}/munge.socket",
    ]
    with ExitStack() as daemons:
        daemons.enter_context(running("munged", "--foreground", *files, environment=own))
        until(f"munge --no-input --socket={folder}/munge.socket", own)
        for name in ("slurmctld", "slurmd"):
            log = f"{folder}/{name}.log"
            daemons.enter_context(running(name, "-D", "-L", log, environment=own))
        until(IDLE, own)
        try:
            yield own
        finally:
            subprocess.run(["scancel", "--user", getpass.getuser()], env=own, check=False)
            until(IDLE, own)


@contextmanager
def temporary_cluster() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, cluster(Path(folder)) as own:
        yield own


def main() -> int:
    if absent := missing():
        sys.exit(f"there is no {', '.join(absent)}: {APT}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidy up then as well
    with temporary_cluster() as own:
        return subprocess.run(sys.argv[1:], env=own, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
