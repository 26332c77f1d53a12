"""`make simulate`, its second part: what table, report and plan of thousands of runs take, here and
in a checkout of before. Each is measured once. Nothing here passes or fails.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import drawn

from loraexp.records.record import read_record
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware

OUT = Path(__file__).parent / "results" / "many_runs.json"
PYTHON = [sys.executable, "-m", "loraexp"]
RANKS, RATES = (1, 2, 4, 8, 16), (1e-4, 3e-4, 1e-3, 3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--before", type=Path, help="a checkout that is measured as well")
    parser.add_argument("--most", type=int, default=1000, help="runs of a report of before")
    parser.add_argument("--table", type=int, nargs="*", default=(3_000, 10_000))
    parser.add_argument("--report", type=int, nargs="*", default=(300, 1_000, 3_000))
    parser.add_argument("--begin", type=int, nargs="*", default=(300,), help="jobs of a sweep")
    parser.add_argument("--make", nargs=3, help="only copies: of a run, a folder, how many")
    options = parser.parse_args()
    if options.make:
        run, folder, size = options.make
        copies(Path(run), Path(folder), int(size))
        return
    load = os.getloadavg()[0]
    found: dict[str, Any] = {"device": hardware.device_name("cpu", 1)}
    found["versions"] = hardware.versions()
    with tempfile.TemporaryDirectory() as folder:
        found["lines"] = []
        for line in lines(Path(folder), options):
            print(line, flush=True)
            found["lines"].append(line)
    found["load"] = [load, os.getloadavg()[0]]
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(to_terminal(drawn.plain(found["lines"], drawn.MANY_RUNS)))


def lines(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    here = Path(__file__).parents[2]
    before: dict[str, Path] = {"before": options.before} if options.before else {}
    typed = ["trainer.max_epochs=1", "logger=csv", f"output_dir={folder}/one"]
    # By the older one, for what came later it cannot read.
    made = environment(options.before or here)
    subprocess.run([*PYTHON, "train", *typed], check=True, capture_output=True, env=made)
    (one,) = (folder / "one").glob("train/*")
    for size in sorted({*options.table, *options.report}):
        runs = folder / str(size)
        make = [sys.executable, __file__, "--make", one, runs, str(size)]
        subprocess.run(make, check=True, env=made)
        for which, source in (before | {"now": here}).items():
            about = {"runs": size, "which": which}
            if size in options.table:
                yield {"what": "table", **about, **taken(source, "table", f"runs=[{runs}]")}
            if size in options.report and (which == "now" or size <= options.most):
                page = folder / f"{which}-{size}.html"
                own = taken(source, "report", f"runs=[{runs}]", f"out={page}")
                yield {"what": "report", **about, **own, "megabytes": page.stat().st_size / 1e6}
    for size in options.begin:
        for which, source in (before | {"now": here}).items():
            own = begun(source, folder / f"{which}-begun", size)
            yield {"what": "first job begins", "runs": size, "which": which, "seconds": own}


def environment(source: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(source / "src")}


def copies(run: Path, folder: Path, count: int) -> None:
    """Runs like this one, of other ranks, rates and seeds, which label other texts wrongly."""
    record, curves = read_record(run), run / "metrics.csv"
    drawing, true = random.Random(0), record.predictions["test"]["true"]
    for number in range(count):
        rest, rank = divmod(number, len(RANKS))
        seed, rate = divmod(rest, len(RATES))
        predicted = [1 - label if drawing.random() < 0.06 else label for label in true]
        right = sum(a == b for a, b in zip(true, predicted, strict=True)) / len(true)
        config = {**record.config, "seed": seed}
        config["lora"] = {**record.config["lora"], "rank": RANKS[rank]}
        config["optim"] = {**record.config["optim"], "lr": RATES[rate]}
        own = replace(
            record,
            name=f"r{RANKS[rank]}-{number}",
            config=config,
            predictions={"test": {"true": true, "predicted": predicted}},
            metrics={**record.metrics, "test": {**record.metrics["test"], "accuracy": right}},
        )
        own.write(folder / "train" / own.name)
        shutil.copy(curves, folder / "train" / own.name)


def taken(source: Path, *words: str) -> dict[str, float]:
    """Seconds until the command is over, the processor's, and its peak of memory, which is never
    below this program's own."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PYTHON, *words], env=environment(source), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    seconds, processor = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return {"seconds": seconds, "processor_s": processor, "gigabytes": used.ru_maxrss / 1e6}


def begun(source: Path, folder: Path, size: int) -> float:
    """Seconds until the first job of so many begins."""
    typed = ["logger=none", f"seed=range({size})", "-m"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PYTHON, "train", *typed, f"output_dir={folder}"],
        env=environment(source),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not [*folder.glob("sweeps/*/jobs/*.txt")]:
        assert process.poll() is None
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.terminate()
    process.wait()
    return seconds


if __name__ == "__main__":
    main()
