"""`make simulate`, its second part: what a table of thousands of runs takes, here and in a checkout
of before. Each is measured once. Nothing here passes or fails.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import drawn

from loraexp.records.record import Record, read_record
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware

OUT = Path(__file__).parent / "results" / "many_runs.json"
PYTHON = [sys.executable, "-m", "loraexp"]
RANKS, RATES = (1, 2, 4, 8, 16), (1e-4, 3e-4, 1e-3, 3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--before", type=Path, help="a checkout whose table is measured as well")
    parser.add_argument("--runs", type=int, nargs="+", default=(3_000, 10_000))
    parser.add_argument("--make", nargs=3, help="only copies: of a run, a folder, how many")
    options = parser.parse_args()
    if options.make:
        run, folder, size = options.make
        copies(read_record(Path(run)), Path(folder), int(size))
        return
    load = os.getloadavg()[0]
    found: dict[str, Any] = {"device": hardware.device_name("cpu", 1)}
    found["versions"] = hardware.versions()
    with tempfile.TemporaryDirectory() as folder:
        found["tables"] = tables(Path(folder), options.before, options.runs)
    found["load"] = [load, os.getloadavg()[0]]
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(to_terminal(drawn.plain(found["tables"], drawn.TABLES)))


def tables(folder: Path, before: Path | None, sizes: list[int]) -> list[dict[str, Any]]:
    typed = ["trainer.max_epochs=1", "logger=none", f"output_dir={folder}/one"]
    sources = {"before": before, "now": Path(__file__).parents[2]}
    # By the older one, for what came later it cannot read.
    made = {**os.environ, "PYTHONPATH": str((before or sources["now"]) / "src")}
    subprocess.run([*PYTHON, "train", *typed], check=True, capture_output=True, env=made)
    (one,) = (folder / "one").glob("train/*")
    found = []
    for size in sizes:
        make = [sys.executable, __file__, "--make", one, folder / str(size), str(size)]
        subprocess.run(make, check=True, env=made)
        for which, source in sources.items():
            if source:
                taken = of_table(folder / str(size), source / "src")
                found.append({"runs": size, "which": which, **taken})
    return found


def copies(record: Record, folder: Path, count: int) -> None:
    """Records like this one, of other ranks, rates and seeds, which label other texts wrongly."""
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


def of_table(runs: Path, source: Path) -> dict[str, float]:
    """Seconds until the table is there, and the processor's."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PYTHON, "table", f"runs=[{runs}]"],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)  # whose peak of memory is also its parent's
    assert status == 0
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "processor_s": used.ru_utime + used.ru_stime}


if __name__ == "__main__":
    main()
