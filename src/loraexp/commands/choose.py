"""loraexp choose: say which adapter is enough for your texts, within a budget of runs or time."""

import sys

from loraexp.config.choice import ChooseConfig
from loraexp.errors import UserError
from loraexp.runtime.escape import printable
from loraexp.runtime.shares import machine
from loraexp.sweeps.grid import number_or_auto
from loraexp.sweeps.plan import check_devices


def run(config: ChooseConfig) -> None:
    if (config.runs is None) == (config.minutes is None):
        raise UserError("choose needs one budget: runs=24 or minutes=10")
    workers = number_or_auto("workers", config.workers) or machine()
    check_devices(workers, config.trainer)
    from loraexp.sweeps.adaptive.choosing import choose  # torch: once a mistake would be told

    decided = choose(config, workers)
    print(*map(printable, decided.lines), sep="\n")
    if not decided.all_ran:
        sys.exit(1)
