"""A command in this process, for tests that need many: what it prints, logs and ends with."""

import io
import logging
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from loraexp.cli import dispatch
from loraexp.errors import UserError

TINY = (
    "model=tiny",
    "data.limit=24",
    "logger=none",
    "trainer.precision=fp32",
    "trainer.accelerator=cpu",
)


def command(folder: Path, *words: str) -> tuple[int, str, str]:
    """Status, standard output and standard error of `python -m loraexp WORDS` in a folder."""
    out, err, log = io.StringIO(), io.StringIO(), logging.getLogger("loraexp")
    handler, level, status = logging.StreamHandler(err), log.level, 0
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with chdir(folder), redirect_stdout(out), redirect_stderr(err):
            dispatch([*words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    except UserError as error:
        status = 2
        err.write(f"error: {error}\n")
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return status, out.getvalue(), err.getvalue()


def train(folder: Path, *words: str) -> tuple[int, str, str]:
    """Of `train` with a model and texts of milliseconds."""
    return command(folder, "train", *TINY, *words)
