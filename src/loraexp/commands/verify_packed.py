"""loraexp verify_packed: train a sweep's runs in step and each alone: how far are they apart."""

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import SweepConfig
from loraexp.errors import UserError
from loraexp.results.tables import Column, Table, to_terminal
from loraexp.sweeps.plan import Plan

KEYS = SweepConfig
COLUMNS = (
    Column("run", "run", words=True),
    Column("pack", "pack"),
    Column("same", "same bits", words=True),
    Column("apart", "apart", lambda share: f"{share:.1e}"),
    Column("other", "other labels"),
)


def run(config: TrainConfig) -> None:
    raise UserError("verify_packed takes a sweep: several values of a key, and -m")


def run_sweep(planned: Plan) -> bool:
    """Train every job both ways, in a folder that is gone afterwards, and show the differences.

    Raises:
        UserError: of the first job that could not run, or a sweep that plans its own jobs.
    """
    from loraexp.sweeps.jobs import check_jobs  # torch: not at start
    from loraexp.sweeps.packed_check import compared

    if asked := planned.protocol.asked:
        raise UserError(f"verify_packed takes a plain sweep: leave out {asked}")
    check_jobs(planned.jobs)
    runs = [*compared(planned.jobs, planned.protocol.width or len(planned.jobs))]
    rows = [
        [one.name, one.pack, "yes" if one.bits else "no", one.apart, one.others] for one in runs
    ]
    print(to_terminal(Table(COLUMNS, rows)))
    print("apart: the largest difference of a number of the adapter, over its largest number")
    largest, others = max(one.apart for one in runs), sum(one.others for one in runs)
    print(f"largest: {largest:.1e}; other labels: {others}")
    return True
