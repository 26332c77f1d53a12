"""`make simulate`, its third part: the simulation beside real sweeps of this machine.

Of each way to hand out jobs a small sweep is trained with two workers. When its jobs were handed
over, began and ended is read from its files; from that alone cluster_model.py says what a larger
one takes, which is then trained as well. Nothing here passes or fails.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawn
from cluster_costs import Costs, Setting
from cluster_model import Cluster

from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware

OUT = Path(__file__).parent / "results" / "cluster_check.json"
WORKERS = 2
KEPT = [f"workers={WORKERS}"]
FRESH = ["launcher=slurm", "launcher.cluster=local", f"launcher.at_once={WORKERS}"]


@dataclass(frozen=True)
class Way:
    """
    Args:
        small, large: jobs of the sweep that tells and of the one that is told.
    """

    fresh: bool
    width: int
    small: int
    large: int


WAYS = (Way(True, 1, 4, 12), Way(True, 3, 12, 24), Way(False, 1, 4, 12), Way(False, 3, 12, 24))


@dataclass(frozen=True)
class Pack:
    """When it was handed over, began and ended, in seconds since the command was typed."""

    given: float
    began: float
    ended: float


@dataclass(frozen=True)
class Real:
    """A sweep that was trained: what it took, in seconds, and its packs in their order."""

    seconds: float
    packs: Sequence[Pack]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    options, typed = parser.parse_known_args()
    load = os.getloadavg()[0]
    found: dict[str, Any] = {"device": hardware.device_name("cpu", 1), "load": [load]}
    found["versions"] = hardware.versions()
    found["lines"] = [line(way, typed) for way in WAYS]
    found["load"].append(os.getloadavg()[0])
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(to_terminal(drawn.cluster_check(found)))


def line(way: Way, typed: Sequence[str]) -> dict[str, Any]:
    small, large = (trained(way, jobs, typed) for jobs in (way.small, way.large))
    costs = costs_of(way, small)
    simulated = Cluster(costs, Setting(way.large, WORKERS, way.width, way.fresh)).run()
    return {
        "fresh": way.fresh,
        "width": way.width,
        "told": way.small,
        "jobs": way.large,
        "simulated": round(simulated.makespan, 2),
        "measured": round(large.seconds, 2),
        "costs": {"start": costs.start, "job": costs.job, "around": costs.around},
    }


def trained(way: Way, jobs: int, typed: Sequence[str]) -> Real:
    with tempfile.TemporaryDirectory() as folder:
        seeds = ",".join(map(str, range(jobs)))
        words = [f"seed={seeds}", f"pack.width={way.width}", "logger=csv"]
        command = [sys.executable, "-m", "loraexp", "train", *words, *typed, "-m"]
        command += [*(FRESH if way.fresh else KEPT), f"output_dir={folder}"]
        began, clock = time.time(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - clock
        return Real(seconds, packs_of(Path(folder), way.width, began))


def packs_of(folder: Path, width: int, typed: float) -> list[Pack]:
    """By the times of files: a job's own, that it began, and its record."""
    (sweep,) = (folder / "sweeps").iterdir()
    jobs = sorted((sweep / "jobs").glob("*.json"))
    packs = []
    for at in range(0, len(jobs), width):
        some = jobs[at : at + width]
        runs = [Path(job.with_suffix(".txt").read_text().strip()) for job in some]
        records = [folder / "train" / run.name / "record.json" for run in runs]
        packs.append(
            Pack(
                max(job.stat().st_mtime for job in some) - typed,
                min(job.with_suffix(".txt").stat().st_mtime for job in some) - typed,
                max(record.stat().st_mtime for record in records) - typed,
            )
        )
    return sorted(packs, key=lambda pack: pack.began)


def costs_of(way: Way, real: Real) -> Costs:
    """What a process's first pack takes longer is its start's; from a pack's end until the next one
    begins in a process of its own, another start."""
    first, later = real.packs[:WORKERS], real.packs[WORKERS:]
    before, after = first[0].given, real.seconds - max(pack.ended for pack in real.packs)
    taken = statistics.mean(pack.ended - pack.began for pack in later)
    if way.fresh:
        ends = sorted(pack.ended for pack in first)
        start = statistics.mean(pack.began - end for pack, end in zip(later, ends, strict=True))
    else:
        start = statistics.mean(pack.ended - pack.given for pack in first) - taken
    share = taken / way.width
    return Costs(start=start, job=share, packed=share, around=before + after)


if __name__ == "__main__":
    main()
