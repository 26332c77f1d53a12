"""python -m loraexp.sweeps.launchers.worker [JOB.json]: one job of a sweep in a process of its own,
set up as that of a single run; without a file, the packs of jobs that are named on stdin, one after
another."""

import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from loraexp.errors import UserError
from loraexp.runtime.endings import OneLine, Stopped, begin_log, outcome
from loraexp.runtime.process import open_streams


def work() -> None:
    from loraexp.sweeps.jobs import Job, do  # torch: once a mistake would be told

    open_streams()
    begin_log()
    if sys.argv[1:]:
        do(Job.read(Path(sys.argv[1])))
        return
    try:
        serve()
    except (Stopped, KeyboardInterrupt) as stopped:  # who started us says it to the user
        if isinstance(stopped, Stopped):
            stopped.lost = None
        raise SystemExit(128) from None


def work_through(files: Sequence[str]) -> None:
    """Do the jobs of one pack, each left in its run's folder, in the process of another engine.

    Raises:
        UserError: what ends a sweep, as a full disk, or a folder that this machine does not have.
    """
    from loraexp.sweeps.jobs import (
        Job,
        directory_of,
        do,
        do_elsewhere,
    )  # torch: once a mistake would be told
    from loraexp.sweeps.packs import do_together

    begin_log()
    jobs = [Job.read(Path(file)) for file in files]
    go_to(directory_of(Path(files[0])), [job.config.output_dir for job in jobs])
    for job in do_together(jobs) if len(jobs) > 1 else jobs:
        do(job) if job.config.trainer.devices == 1 else do_elsewhere(job)


def go_to(directory: Path, needed_by: Sequence[str]) -> None:
    """Work where the sweep was typed: what is no whole path is meant from there.

    Raises:
        UserError: this machine has no such folder, and results are to be left in it.
    """
    try:
        os.chdir(directory)
    except OSError as error:
        if all(Path(folder).is_absolute() for folder in needed_by):
            return
        raise UserError(
            f"{directory}, where the sweep was typed: {error.strerror} on {socket.gethostname()}; "
            "type it in a folder that all machines reach, or with a whole path as output_dir"
        ) from None


def serve() -> None:
    """Do the jobs that are named on stdin; say on stdout, as JSON lines, how far they are."""
    from loraexp.sweeps.jobs import Job, do
    from loraexp.sweeps.packs import do_together
    from loraexp.training.callbacks.progress import Steps

    def steps(job: Job) -> Steps | None:
        every = asked["steps"]
        if every is None:
            return None
        return Steps(lambda *now: say(channel, step=[job.place, *now]), every)

    def ended(job: Job, outcome: object = None) -> None:
        say(channel, ended=job.place)

    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)  # whatever else is printed is no message
        logging.getLogger().handlers = [Sent(channel)]
        say(channel, ready=True)
        for line in sys.stdin:
            asked = json.loads(line)
            jobs = [Job.read(Path(file)) for file in asked["jobs"]]
            try:
                for job in do_together(jobs, steps, ended) if len(jobs) > 1 else jobs:
                    do(job, steps(job))
                    ended(job)
            except UserError as error:  # none of these jobs alone
                say(channel, stopped=str(error))
            else:
                say(channel, free=True)


def say(channel: TextIO, **message: Any) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


class Sent(logging.Handler):
    """What is logged here is logged by who started us."""

    def __init__(self, channel: TextIO) -> None:
        super().__init__()
        self.channel = channel
        self.setFormatter(OneLine("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        say(self.channel, log=[record.levelno, self.format(record)])


if __name__ == "__main__":
    sys.exit(outcome(work))
