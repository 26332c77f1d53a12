"""From laptop to cluster in four commands, for the README: type them, keep what they print.

There is no SLURM here: stand-ins for its programs take the sweep, and leave it in the queue.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from loraexp.runtime import hardware

OUT = Path(__file__).parent / "results" / "ladder.json"
SWEEP = "train lora.rank=4,8,16 -m"
SLURM = f"{SWEEP} launcher=slurm launcher.partition=gpu launcher.gpus=1 launcher.wait=false"
PROGRAMS = {"srun": "", "sbatch": "echo Submitted batch job 7", "squeue": "echo 7", "scancel": ""}
# What is typed, and which lines of the answer are kept.
STEPS = {
    f"plan {SWEEP}": r"(work|memory|time|  )",
    SLURM: r"process \d+ drives it",
    "sweep status": r"outputs",
}
TIME = r"(outputs/sweeps/)[\w-]+"  # by which a sweep is named


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        for program, lines in PROGRAMS.items():
            (folder / "bin" / program).write_text(f"#!/bin/sh\n{lines}\n")
            (folder / "bin" / program).chmod(0o755)
        steps = {typed: said(folder, typed, kept) for typed, kept in STEPS.items()}
        said(folder, "sweep cancel", ".")
    found = {"device": hardware.device_name("cpu", 1), "load": load, "steps": steps}
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def said(folder: Path, typed: str, kept: str) -> list[str]:
    """Lines of the answer that begin as `kept` says; and those that go on with one of them."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "loraexp", *typed.split()],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = [re.sub(TIME, r"\1<time>", line) for line in done.stdout.splitlines()]
    return [line for line in lines if re.match(kept, line)]


if __name__ == "__main__":
    main()
