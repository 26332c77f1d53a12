"""What each of several processes has of this machine: a share of its cores, or one of its GPUs."""

import os
from collections.abc import Mapping


def share(number: int, of: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of process `number` of so many: threads, but where the user has set them, and
    one of the GPUs that can be seen, where there are any."""
    own = {"OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS") or str(max(1, cores() // of))}
    if gpus := visible_gpus(environment):
        own["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return own


def machine() -> int:
    """Processes that this machine has a GPU, or else a core, for."""
    return len(visible_gpus(os.environ)) or cores()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """As CUDA_VISIBLE_DEVICES names them, all of the machine's where it is not set."""
    import torch  # not at start

    if not (there := torch.cuda.device_count()):
        return []
    named = environment.get("CUDA_VISIBLE_DEVICES")
    return [str(n) for n in range(there)] if named is None else named.split(",")[:there]
