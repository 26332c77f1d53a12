"""A pack of jobs as a task of a Ray cluster (>= 2.55), on one machine, many, or Kubernetes. A task
that is lost with its node is done again by Ray itself; what comes of a job is read from its run's
folder."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import ray

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.sweeps.launchers.worker import work_through

MOST = 256  # packs that the cluster is given at a time
RETRIES = 5  # of a task whose node is gone


class Ray:
    """Tasks of a cluster."""

    def __init__(self, launcher: Launcher) -> None:
        self.at_once = launcher.at_once or MOST
        self.late = 0.0 if launcher.address == "local" else 30.0
        self.tasks: dict[str, Any] = {}
        try:
            context = ray.init(
                address=launcher.address,
                log_to_driver=False,
                logging_level="error",
                include_dashboard=False if launcher.address == "local" else None,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            words = str(error).strip().splitlines()[0]
            raise UserError(
                f"launcher.address={launcher.address}: {words} (ray start --head begins a cluster, "
                "launcher.address=local one that ends with this command)"
            ) from None
        self.shown = f"Ray at {context.address_info['address']}"
        memory = {"memory": int(launcher.memory_gb * 2**30)} if launcher.memory_gb else {}
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(launcher.cpus)}
        self.task: Any = ray.remote(
            num_cpus=launcher.cpus,
            num_gpus=launcher.gpus,
            max_retries=RETRIES,
            runtime_env={"env_vars": threads},
            max_calls=1,  # each pack has a process of its own, as a worker's GPU memory needs it
            **memory,
        )(work_through)

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        made = [self.task.remote([*map(str, files)]) for files in packs]
        self.tasks |= {task.hex(): task for task in made}
        return [task.hex() for task in made]

    def working(self, names: Collection[str]) -> set[str]:
        own = {self.tasks[name]: name for name in names if name in self.tasks}
        if not own:
            return set()
        over, _ = ray.wait([*own], num_returns=len(own), timeout=0, fetch_local=False)
        return {*own.values()} - {own[task] for task in over}

    def told(self, name: str) -> str:
        try:
            ray.get(self.tasks[name])
        except Exception as error:  # whatever ended it
            return f"Ray: {type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        return "its task ended without a result"

    def cancel(self, names: Collection[str]) -> None:
        for name in names:
            if name in self.tasks:
                ray.cancel(self.tasks[name], force=True)

    def close(self) -> None:
        ray.shutdown()
