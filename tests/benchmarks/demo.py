"""What `make demo` ends with, for the README: run it in an empty folder, keep what it prints."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loraexp.runtime import hardware

OUT = Path(__file__).parent / "results" / "demo.json"
COMMAND = ["train", "lora.rank=4,8,16", "baselines=true", "-m"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "loraexp", *COMMAND],
            cwd=folder,
            env={**os.environ, "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - began
    first, *_, answer, _ = (part.splitlines() for part in done.stdout.strip().split("\n\n"))
    content = {
        "device": hardware.device_name("cpu", 1),
        "seconds": seconds,
        "table": first,
        "answer": answer,
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
