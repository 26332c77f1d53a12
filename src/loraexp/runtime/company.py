"""How many cores other processes keep busy, and how many threads that leaves for ours.

As many threads as cores beside another process that works bring each step to a crawl: all of them
wait for the one whose core is taken (of `nano`, 33 texts/s for 159; one thread alone gives 90).
"""

import os
import time
from functools import cache
from pathlib import Path

from loraexp.runtime.shares import cores

LOOK = 0.2  # seconds: 20 ticks of /proc/stat
STAT = Path("/proc/stat")
IDLE = (3, 4)  # of a line's numbers: idle, and waiting for a disk
GUEST = 8  # from here on they are counted among the others already


def threads_beside(busy: float, there: int) -> int:
    """Of so many cores, those that others leave, and one at least."""
    return min(there, max(1, int(there - busy + 0.5)))


@cache  # once a process: all runs of a sweep have as many
def fitting_threads(given: str | None) -> tuple[int, float] | None:
    """Threads, and the cores that others keep busy; None where nothing is to be changed: nobody
    else works here, it is not known, or OMP_NUM_THREADS is `given`."""
    if given or cores() == 1 or not STAT.is_file():
        return None
    busy = busy_cores()
    threads = threads_beside(busy, cores())
    return (threads, busy) if threads < cores() else None


def busy_cores() -> float:
    """Of those that this process may use, how many others have kept busy for a moment."""
    ours, before = time.process_time(), ticks()
    time.sleep(LOOK)
    after, ours = ticks(), time.process_time() - ours
    spent = [now - then for now, then in zip(after, before, strict=True)]
    whole = sum(spent) / cores() or 1
    return max(0.0, (sum(spent) - spent[0]) / whole - ours / LOOK)


def ticks() -> list[int]:
    """Of the cores that this process may use: idle ones, busy ones."""
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    idle = busy = 0
    for line in STAT.read_text(encoding="ascii").splitlines():
        name, *numbers = line.split()
        if name in own:
            used = [*map(int, numbers[:GUEST])]
            idle += sum(used[at] for at in IDLE)
            busy += sum(used) - sum(used[at] for at in IDLE)
    return [idle, busy]
