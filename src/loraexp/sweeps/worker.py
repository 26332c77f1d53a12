"""python -m loraexp.sweeps.worker JOB.json: one job of a sweep in a process of its own, set up as
that of a single run."""

import sys
from pathlib import Path

from loraexp.runtime.endings import begin_log, outcome
from loraexp.runtime.process import open_streams


def work() -> None:
    from loraexp.sweeps.jobs import Job, do  # torch: once a mistake would be told

    open_streams()
    begin_log()
    do(Job.read(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(outcome(work))
