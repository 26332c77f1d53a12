"""Sweeps that another engine does, in processes of their own, for tests that kill some of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loraexp.runs.run_folder import RunFolder

PYTHON = [sys.executable, "-m", "loraexp"]


def command(folder: Path, *words: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*PYTHON, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def table(folder: Path, by: str = "lora.rank") -> str:
    """Of all runs, without what times and places differ in."""
    out, _ = done(command(folder, "table", "format=csv", f"by=[{by}]"))
    return out


def adapters(folder: Path) -> dict[str, str]:
    runs = map(RunFolder, (folder / "outputs" / "train").iterdir())
    return {run.name: run.record().hashes["adapter"] for run in runs}


def first(folder: Path, pattern: str, process: "subprocess.Popen[str]") -> Path:
    """The first file of a pattern, as soon as there is one."""
    while process.poll() is None:
        if found := [*folder.glob(pattern)]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def workers_of(words: str) -> list[int]:
    """Processes whose command line has these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line:
            found.append(int(entry.parent.name))
    return found


def table_of_accuracy(folder: Path) -> dict[str, float]:
    """In packs the bits may differ by rounding, the labels do not."""
    runs = map(RunFolder, (folder / "outputs" / "train").iterdir())
    return {run.name: run.record().metrics["test"]["accuracy"] for run in runs}


@contextmanager
def ended(folder: Path) -> Iterator[None]:
    """Whatever a test finds, nothing goes on after it."""
    try:
        yield
    finally:
        if (file := folder / "driver.json").exists():
            os.kill(json.loads(file.read_text())["pid"], signal.SIGTERM)
