"""What to type after a run or a sweep: one command, for this shell."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import from_dict
from loraexp.records.record import Record
from loraexp.runs.run_folder import RunFolder

SEEDS = "seed=0,1,2"  # of fewer no comparison is called evidence


def next_step(records: Sequence[Record], folder: Path, typed: Sequence[str] = ()) -> str | None:
    """A line; None where nothing finished.

    Args:
        folder: of the sweep.
        typed: the overrides that made it; none where its jobs cannot be had so with more seeds.
    """
    if not records:
        return None
    if len({str({**record.config, "seed": None}) for record in records}) == 1:
        run = RunFolder.of(from_dict(TrainConfig, records[0].config)).path
        return "Next, to use it: " + command("predict", f"run={run}", "text=a text of yours")
    if typed and len({record.config["seed"] for record in records}) == 1:
        others = [word for word in typed if not word.startswith("seed=")]
        return "Next, for a verdict: " + command("train", *others, SEEDS, "-m")
    return "Next, to read it: " + command("report", f"runs=[{folder}]")


def command(*words: str) -> str:
    return shlex.join([python(), "-m", "loraexp", *words])


def python() -> str:
    """This interpreter as this shell finds it: its name, or its path where the environment that it
    is of has not been activated."""
    own = Path(sys.executable)
    for name in ("python", own.name):
        if (found := shutil.which(name)) and Path(found).absolute() == own.absolute():
            return name
    here = Path.cwd()
    return str(own.relative_to(here) if own.is_relative_to(here) else own)
