"""What a tuned sweep costs beside the full grid that is as wide: `make bench-tuning`.

The same ranks, seeds and texts twice, each in a folder of its own: once each rank looks for its
learning rate first (experiment=rank_sweep), once every rank trains with every rate over all seeds
(tune=null), as many rates as an arm of the first may try. Both go on where they were cut short.
Machine time is what the processor spent on a command, with one thread, so that other load beside it
counts for little. Nothing here passes or fails.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from loraexp.config.sweep import Tune
from loraexp.results.comparison import findings
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware
from loraexp.sweeps.shown.collect import Collected, collect

SWEEP = ("experiment=rank_sweep", "data=sms_spam", "logger=none")
WIDE = (0.03, 0.1, 0.3, 1, 3, 10, 30)  # as many rates as tune.most
WAYS = {
    "tuned": (),
    "grid": ("tune=null", f"optim.lr_factor={','.join(f'{factor:g}' for factor in WIDE)}"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("outputs/tuning"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("words", nargs="*", help="more of what is typed, for both")
    options = parser.parse_args()
    assert len(WIDE) == Tune().most
    for way in options.ways:
        sweep(way, options.folder / way, options.words)
    both = {way: told(options.folder / way) for way in options.ways}
    content: dict[str, Any] = {
        "device": hardware.device_name("cpu", 1),
        "versions": hardware.versions(),
        "command": " ".join(SWEEP),
        "rates_of_the_grid": WIDE,
        **both,
    }
    if len(both) == 2:
        content["ratio"] = both["tuned"]["seconds"] / both["grid"]["seconds"]
        print(f"tuned / grid: {content['ratio']:.3f} of the time")
    options.out.write_text(json.dumps(content, indent=1) + "\n")


def sweep(way: str, folder: Path, words: list[str]) -> None:
    """Run or go on with one of them, and add up what it took."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [*SWEEP, *WAYS[way], f"output_dir={folder / 'outputs'}", *words]
    log = folder / "seconds.txt"
    if (folder / "done").exists():
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "loraexp", "train", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    before = float(log.read_text()) if log.exists() else 0.0
    while process.poll() is None:
        log.write_text(str(before + processor_seconds(process.pid)))
        time.sleep(0.5)
    assert process.returncode == 0
    (folder / "done").touch()


def processor_seconds(process: int) -> float:
    """Of a process that runs, on Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(folder: Path) -> dict[str, Any]:
    latest = max((folder / "outputs" / "sweeps").iterdir(), key=lambda path: path.stat().st_mtime)
    found = collect([str(latest)], [])
    table = findings(found.records, ["lora.rank"], beside=found.beside)
    return {
        "seconds": float((folder / "seconds.txt").read_text()),
        "runs": len(found.records),
        "trials": len(found.beside.trials),
        "seconds_by_rates": by_rates(found),
        "table": to_terminal(table.brief(80)).splitlines(),
        "notes": table.notes,
    }


def by_rates(found: Collected) -> dict[str, float]:
    """Of the runs at each factor, how long they took by their records: for narrower grids."""
    seconds: dict[str, float] = {}
    for record in found.records:
        factor = f"{record.config['optim']['lr_factor']:g}"
        seconds[factor] = seconds.get(factor, 0.0) + record.seconds["total"]
    return dict(sorted(seconds.items(), key=lambda item: float(item[0])))


if __name__ == "__main__":
    main()
