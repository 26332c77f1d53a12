"""A pack of jobs as a task of a Ray cluster (>= 2.55), on one machine, many, or Kubernetes. A task
that is lost with its node is done again by Ray itself; what comes of a job is read from its run's
folder."""

import logging
import os
import re
import signal
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.runtime.endings import of_system
from loraexp.sweeps.launchers.worker import work_through

# Ray reads these as it is imported. It would print that it tells its makers of its use, and a
# warning where no GPU is asked for (see `environment`); and a cluster that is begun where there is
# a token, as `launcher.address=local` leaves one, wants it from whoever comes.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.update(
    {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    if os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    or Path("~/.ray/auth_token").expanduser().is_file()
    else {}
)

import ray
from ray._private.services import canonicalize_bootstrap_address

log = logging.getLogger("loraexp")
MOST = 256  # packs that the cluster is given at a time
RETRIES = 5  # of a task whose process or node is gone
CONNECT = 5.0  # seconds in which a head answers; Ray itself tries for minutes, and prints each try
PATIENCE = 10.0  # seconds in which a task that is cancelled ends
OURS = ("LORAEXP_", "WANDB_", "HF_")  # variables that go to the tasks, and
NOT_OURS = re.compile("KEY|TOKEN|SECRET|PASSWORD")  # not these: a cluster shows what it was told


class Ray:
    """Tasks of a cluster."""

    def __init__(self, launcher: Launcher) -> None:
        self.at_once = launcher.at_once or MOST
        self.late = 0.0 if launcher.address == "local" else 30.0
        self.tasks: dict[str, Any] = {}
        self.shown = f"Ray at {begin(launcher.address)}"
        memory = int((launcher.memory_gb or 0) * 2**30)
        wanted = {"CPU": launcher.cpus, "GPU": launcher.gpus, "memory": memory}
        try:
            check_nodes(wanted, ends_with_us=launcher.address == "local")
        except UserError:
            ray.shutdown()
            raise
        # Where it has no GPU, a process does one pack after another: it reads its libraries once.
        self.task: Any = ray.remote(
            num_cpus=launcher.cpus,
            num_gpus=launcher.gpus,
            max_retries=RETRIES,
            runtime_env={"env_vars": environment(launcher, os.environ)},
            **({"memory": memory} if memory else {}),
        )(work_through)

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        made = [self.task.remote([*map(str, files)]) for files in packs]
        self.tasks |= {task.hex(): task for task in made}
        return [task.hex() for task in made]

    def working(self, names: Collection[str]) -> set[str]:
        own = {self.tasks[name]: name for name in names if name in self.tasks}
        return {own[task] for task in own.keys() - over(own)}

    def told(self, name: str) -> str:
        try:
            ray.get(self.tasks[name])
        except Exception as error:  # whatever ended it
            return f"Ray: {said(error)}"
        return "its task ended without a result"

    def cancel(self, names: Collection[str]) -> None:
        tasks = [self.tasks[name] for name in names if name in self.tasks]
        for task in tasks:
            ray.cancel(task, force=True)
        over(tasks, PATIENCE)

    def close(self) -> None:
        ray.shutdown()


def begin(address: str) -> str:
    """Connect to a cluster, or begin one; returns where its head is.

    Raises:
        UserError: there is none.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        context = ray.init(
            address=address if address == "local" else head_of(address),
            log_to_driver=False,
            logging_level="critical",
            include_dashboard=False if address == "local" else None,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"launcher.address={address}: {said(error)} (ray start --head begins a cluster, "
            "launcher.address=local one that ends with this command)"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray's own would leave what was given away
    return str(context.address_info["address"])


def head_of(address: str) -> str:
    """Its host and port, where something answers.

    Raises:
        ValueError: no address.
        OSError: nothing answers.
    """
    named = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    if "://" in named:
        raise ValueError("not Ray's client: type the command on a node of the cluster")
    head = canonicalize_bootstrap_address(named)
    if head is None:
        raise ConnectionError("no cluster is at work here")
    host, _, port = head.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()
    except OSError as error:
        raise ConnectionError(f"nothing answers at {head}: {error.strerror or error}") from None
    return head


def check_nodes(wanted: Mapping[str, float], ends_with_us: bool) -> None:
    """Say so where no node can take a task: Ray would wait for one without a word.

    Raises:
        UserError: the cluster is this machine alone, and no other comes.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(key, 0) >= n for key, n in wanted.items()) for node in nodes):
        return
    names = {"CPU": "cpus={:g}", "GPU": "gpus={:g}", "memory": "memory_gb={:.3g}"}
    scale = {"memory": 2**-30}

    def shown(some: Mapping[str, float]) -> str:
        return " ".join(names[key].format(some.get(key, 0) * scale.get(key, 1)) for key in names)

    there = "; ".join(dict.fromkeys(map(shown, nodes))) or "no node"
    text = f"no node of the cluster has launcher's {shown(wanted)}: there is {there}"
    if ends_with_us:
        raise UserError(text)
    log.warning(f"warning: {text}; the jobs wait until one comes")


def environment(launcher: Launcher, here: Mapping[str, str]) -> dict[str, str]:
    """Of the tasks: what a user sets for us goes with them, as SLURM does it; without a GPU asked
    for, none is seen, or all tasks of a node would share its first."""
    own = {name: text for name, text in here.items() if name.startswith(OURS)}
    own = {name: text for name, text in own.items() if not NOT_OURS.search(name)}
    own |= {"PYTHONPATH": here["PYTHONPATH"]} if "PYTHONPATH" in here else {}
    own |= {} if launcher.gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return {**own, "OMP_NUM_THREADS": str(launcher.cpus)}


def over(tasks: Collection[Any], seconds: float = 0.0) -> set[Any]:
    """Those that have ended; waits for the others so long."""
    if not tasks:
        return set()
    ended, _ = ray.wait([*tasks], num_returns=len(tasks), timeout=seconds, fetch_local=False)
    return {*ended}


def said(error: BaseException) -> str:
    """By its first line, or, of what a task raised, what that was."""
    error = getattr(error, "cause", None) or error
    if isinstance(error, OSError) and error.strerror:
        return of_system(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
