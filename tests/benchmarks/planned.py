"""`make bench-plan`: what `plan` says that small sweeps of `nano` will take, and what they took.

Each is planned and run as a command of its own, in an empty folder, one after another: seconds from
Enter to the end, the largest peak of memory of a process that did runs, bytes of all that is left.
It stores the load of the machine before and after:
that of others makes the seconds worth little. Nothing here passes or fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import drawn

from loraexp.records.record import read_file
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware

CASES = {
    "one run": "",
    "one after another": "lora.rank=4,16 seed=0,1 workers=1 pack.width=1 -m",
    "2 workers": "lora.rank=4,8,16 seed=0,1 workers=2 pack.width=1 -m",
    "a pack of 4": "lora.rank=4,16 seed=0,1 workers=1 pack.width=4 -m",
    "2 workers, packs of 3": "lora.rank=4,8,16 seed=0,1 workers=2 pack.width=3 -m",
    "2 workers, 3 methods": "method=lora,full,head seed=0,1 workers=2 pack.width=1 -m",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=240, help="of each split")
    parser.add_argument("--cases", nargs="*", default=[*CASES], help="that are planned and run")
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for case in options.cases:
        words = ["data=sms_demo", f"data.limit={options.texts}", *CASES[case].split()]
        load = os.getloadavg()[0]
        line = {"case": case, **planned(words), **done(words)}
        lines.append({**line, "texts": options.texts, "load": [load, os.getloadavg()[0]]})
        found = {
            "device": hardware.device_name("cpu", 1),
            "precision": hardware.pick_precision("auto", "cpu"),
            "versions": hardware.versions(),
            "lines": lines,
        }
        options.out.write_text(json.dumps(found, indent=1) + "\n")
        print(to_terminal(drawn.planned([lines[-1]])), flush=True)
    print(to_terminal(drawn.planned(lines)))


def planned(words: list[str]) -> dict[str, Any]:
    out, seconds, _ = command("plan", "train", "format=json", *words)
    found = json.loads(out)
    (expected, _), disk = found["seconds"]["total"], found["disk_bytes"]["most"]
    parts = {part: found["seconds"][part] for part in ("start", "cold", "finish")}
    return {
        "plan_seconds": seconds,
        "runs": found["runs"]["most"],
        "parts": parts,
        "planned": {"seconds": expected, "peak": found["process_bytes"], "disk": disk},
    }


def done(words: list[str]) -> dict[str, Any]:
    _, seconds, left = command("train", *words)
    return {"took": {"seconds": seconds, **left}}


def command(*words: str) -> tuple[str, float, dict[str, int]]:
    """What it printed, its seconds, and of the runs that it left the peak and the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        typed = [sys.executable, "-m", "loraexp", *words]
        began = time.perf_counter()
        ended = subprocess.run(typed, cwd=folder, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        assert ended.returncode == 0, ended.stderr
        files = [file for file in Path(folder).rglob("*") if file.is_file()]
        records = [read_file(file) for file in files if file.name == "record.json"]
        peak = max((one.peak_memory_bytes * (one.pack or 1) for one in records), default=0)
        disk = sum(file.stat().st_size for file in files)
        return ended.stdout, seconds, {"peak": peak, "disk": disk}


if __name__ == "__main__":
    main()
