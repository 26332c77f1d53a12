"""`make simulate`: how long a sweep takes on more machines than there are here, by simulation.

Ten thousand jobs of `make bench-sweep` on 1 to 1,000 workers. What a job computes is what that
stored; what a worker's start, a run's files in the shared folder and the submitting process take is
measured on the spot. Of a network's disk the folder takes a typed factor as long. What a simulated
sweep does is in cluster_model.py. Nothing here passes or fails.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import drawn
from cluster_costs import Costs, Setting, limit
from cluster_model import Cluster

from loraexp.api import configure
from loraexp.config.schema import TrainConfig
from loraexp.records.record import Record, read_record
from loraexp.results.tables import to_terminal
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import hardware
from loraexp.runtime.atomic import write_whole
from loraexp.sweeps.jobs import Job, do, outcome_of
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.plan import TRAIN, Plan, plan
from loraexp.sweeps.shown.summary import Summary
from loraexp.sweeps.sweep_folder import Sweep

RESULTS = Path(__file__).parent / "results"
MANY = 16
WORKERS = (1, 10, 100, 1000)
SMALL = ("logger=csv", "data.limit=8", "data.batch_size=8", "trainer.max_epochs=1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster.json")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--factors", type=float, nargs="+", default=(1.0, 10.0))
    parser.add_argument("--width", type=int, default=16, help="jobs of a pack")
    parser.add_argument("--failures", type=float, default=0.01, help="of a worker, an hour")
    parser.add_argument("--repair", type=float, default=300.0, help="seconds, of a node")
    parser.add_argument("--again", action="store_true", help="from what --out has: measure nothing")
    options = parser.parse_args()
    if options.again:
        found = json.loads(options.out.read_text(encoding="utf-8"))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = {"device": hardware.device_name("cpu", 1), "versions": hardware.versions()}
            found["measured"] = measure(Path(folder), options.jobs)
    measured = found["measured"]
    print(json.dumps(measured, indent=1))
    lines = [
        line(measured, options, setting, factor)
        for factor in options.factors
        for fresh, width in product((True, False), (1, options.width))
        for workers in options.workers
        for setting in [Setting(options.jobs, workers, width, fresh, options.failures)]
    ]
    typed = {"repair": options.repair, "failures": options.failures, "jobs": options.jobs}
    found |= {"typed": typed, "lines": lines}
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(to_terminal(drawn.cluster(found)))


def line(
    measured: dict[str, Any], options: argparse.Namespace, setting: Setting, factor: float
) -> dict[str, Any]:
    """One simulated sweep."""
    costs = replace(costs_of(measured, factor), repair=options.repair)
    result = Cluster(costs, setting).run()
    share = costs.job if setting.width == 1 else costs.packed
    ideal = setting.jobs * share / setting.workers
    operations = setting.jobs * sum(measured["operations"].values())
    return {
        **asdict(setting),
        "factor": factor,
        "makespan": round(result.makespan, 1),
        "ideal": round(ideal, 1),
        "efficiency": round(ideal / result.makespan, 3),
        "operations_per_second": round(operations / result.makespan, 1),
        "folder_busy": round(result.folder / result.makespan, 3),
        "submitter_busy": round(result.submitter / result.makespan, 3),
        "failed": result.failed,
        "nodes_lost": result.failures,
        "limit": limit(result),
        "worker_seconds": {what: round(spent) for what, spent in result.spent.items()},
    }


def costs_of(measured: dict[str, Any], factor: float) -> Costs:
    """Half of a run's operations before it computes, half after."""
    seconds, operations = measured["seconds"], measured["operations"]
    kinds = {**seconds, "write": seconds["write_of_many"]}
    files = sum(factor * count * kinds[kind] for kind, count in operations.items())
    return Costs(
        start=seconds["start"] + seconds["first"],
        job=seconds["job"],
        packed=seconds["packed"],
        epochs=3,
        before=files / 2,
        after=files / 2,
        hand_out=seconds["hand_out"],
        files=factor * seconds["write_of_many"],
        wait=max(1.0, seconds["write"] / seconds["write_of_many"]),
        hear=seconds["hear"] + factor * seconds["open"],
        opening=seconds["opening"],
        closing=seconds["closing"] + factor * seconds["open"],
        around=seconds["around"],
    )


def measure(folder: Path, jobs: int) -> dict[str, Any]:
    """Seconds, and how many operations of each kind a run makes in its folder."""
    start = seconds_of(
        partial(
            subprocess.run,
            [sys.executable, "-m", "loraexp.sweeps.launchers.worker"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        ),
        3,
    )
    stored = json.loads((RESULTS / "sweep.json").read_text(encoding="utf-8"))
    taken = {way: min(found) for way, found in stored["seconds"].items()}
    ours = {"job": "one after another", "packed": "packs"}
    seconds = {"start": start}
    seconds |= {what: (taken[way] - start) / stored["runs"] for what, way in ours.items()}
    config = configure(f"output_dir={folder}", *SMALL)
    operations = operations_of(config, folder)
    record = read_record(RunFolder.of(config).path)
    seconds |= {"first": longer(record, config, folder), "around": around(folder)}
    seconds |= of_folder(folder)
    seconds |= of_submitter(config, record, folder, jobs)
    return {"seconds": seconds, "operations": operations}


def longer(first: Record, config: TrainConfig, folder: Path) -> float:
    """Than a later job takes this one, the first of this process."""
    later = replace(config, seed=1)
    do(Job(Sweep(folder / "sweeps" / "one"), 1, later))
    return first.seconds["total"] - read_record(RunFolder.of(later).path).seconds["total"]


def around(folder: Path) -> float:
    """A command whose jobs are all done: its start, tables and figures."""
    words = [*SMALL, "seed=0,1", f"output_dir={folder / 'done'}", "workers=1", "-m"]
    command = [sys.executable, "-m", "loraexp", "train", *words]
    run = partial(subprocess.run, command, check=True, capture_output=True)
    run()
    return seconds_of(run, 3)


def seconds_of(work: Callable[[], Any], rounds: int = 200) -> float:
    """The median."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def operations_of(config: TrainConfig, folder: Path) -> dict[str, int]:
    """What a run does in its output folder, as Python's audit events tell it: a file written whole
    (with fsync), and any other opening, listing, renaming or removing."""
    counts: Counter[str] = Counter()
    inside, going = str(folder), [True]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        named = event in ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.listdir")
        if going and named and str(arguments[0]).startswith(inside):
            counts["write" if event == "os.rename" else "open"] += 1

    sys.addaudithook(heard)
    do(Job(Sweep(folder / "sweeps" / "one"), 0, config))
    going.clear()
    counts["open"] -= 3 * counts["write"]  # of each whole file: made, written, synced
    return {"write": counts["write"], "open": counts["open"], "lock": 1}


def of_folder(folder: Path) -> dict[str, float]:
    """Of the disk that holds `folder`: an operation alone, and a file's where many are written at
    once, which is what they hold each other up by."""
    run = RunFolder(folder / "a-run")
    run.path.mkdir()
    file, number = run.path / "some.json", iter(range(10**6))

    def many() -> None:
        with ThreadPoolExecutor(MANY) as pool:
            files = [run.path / f"{n}.json" for n in range(10 * MANY)]
            [*pool.map(lambda at: write_whole(at[1], f"{at[0]}" * 1000), enumerate(files))]

    return {
        "write": seconds_of(lambda: write_whole(file, f"{next(number)}" * 1000)),
        "write_of_many": seconds_of(many, 5) / (10 * MANY),
        "open": seconds_of(lambda: file.open().close()),
        "lock": seconds_of(lambda: run.lock(patient=False).release()),
    }


def of_submitter(config: TrainConfig, record: Record, folder: Path, jobs: int) -> dict[str, float]:
    """Of a job, in a sweep of so many: planned, handed out, heard of, and shown in the tables."""
    seeds = ",".join(map(str, range(100)))
    words = [f"output_dir={folder}", *SMALL, f"seed={seeds}", "lora.rank=1,2,4", "-m"]
    began = time.perf_counter()
    plan(TRAIN, words)
    opening = (time.perf_counter() - began) / 300
    configs = [replace(config, seed=seed) for seed in range(jobs)]
    watch = Watch.of(Plan(configs[:2], folder, []), folder, on_screen=False)
    watch.know(configs)
    some, sweep = range(0, jobs, max(1, jobs // 200)), Sweep(folder / "sweeps" / "two")
    tasks, handed, heard = [], [], []
    done = Job(sweep, 0, config)
    for number in some:
        began = time.perf_counter()
        tasks.append(watch.began(number, configs[number], trial=False))
        handed.append(time.perf_counter() - began)
    for task in tasks:
        began = time.perf_counter()
        watch.ended(task, outcome_of(done), found=False)
        heard.append(time.perf_counter() - began)
    listed = [replace(record, config={**record.config, "seed": seed}) for seed in range(1000)]
    began = time.perf_counter()
    Summary.of(listed)
    closing = (time.perf_counter() - began) / len(listed)
    closing += seconds_of(lambda: read_record(RunFolder.of(config).path))
    return {
        "opening": opening,
        "hand_out": statistics.median(handed),
        "hear": statistics.median(heard),
        "closing": closing,
    }


if __name__ == "__main__":
    main()
