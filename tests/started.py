"""Sweeps as processes of their own, which tests kill or let meet."""

import subprocess
import sys
from pathlib import Path

TINY = [
    "model=tiny",
    "logger=none",
    "data.limit=24",
    "trainer.precision=fp32",
    "trainer.accelerator=cpu",
]


def start(*typed: str, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "loraexp", "train", *TINY, *typed, "-m"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
