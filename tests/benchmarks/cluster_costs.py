"""What a simulated sweep of cluster_model.py is told, and what it tells."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Costs:
    """Seconds.

    Args:
        start: from a worker's start until it asks for jobs, and what its first job takes longer.
        job: that a job computes, alone; packed: its share of a pack.
        epochs: at whose ends it is kept.
        before, after: of the folder's time, for a job that begins and one that ends.
        hand_out: of the submitting process, for a job; its files' share of the folder's time.
        hear: of the submitting process, when a job has ended.
        opening, closing: of the submitting process, a job, before the first and after the last.
        repair: until a node that failed is there again.
        wait: times the folder's time, until who asked it goes on: it serves several at once.
        around: of the command, before its first job and after its last, whatever their number.
    """

    start: float
    job: float
    packed: float
    epochs: int = 1
    before: float = 0.0
    after: float = 0.0
    hand_out: float = 0.0
    files: float = 0.0
    hear: float = 0.0
    opening: float = 0.0
    closing: float = 0.0
    repair: float = 0.0
    wait: float = 1.0
    around: float = 0.0


@dataclass(frozen=True)
class Setting:
    """
    Args:
        width: jobs of a pack.
        fresh: each pack has a process of its own, which starts anew.
        failures: of a worker, an hour.
        tries: of a job, before it counts as failed.
    """

    jobs: int
    workers: int
    width: int = 1
    fresh: bool = False
    failures: float = 0.0
    tries: int = 2  # as in launchers/workers.py
    seed: int = 0


@dataclass
class Result:
    """Of a simulated sweep: seconds, and worker-seconds by what they were spent on."""

    makespan: float = 0.0
    finished: int = 0
    failed: int = 0
    failures: int = 0
    folder: float = 0.0
    submitter: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, seconds: float) -> None:
        self.spent[what] = self.spent.get(what, 0.0) + seconds


COMPUTED, STARTED = "computing", "start of processes"
FOLDER, SUBMITTER = "shared folder", "submitting process"
FAILURES, WAVE = "failures", "last wave"


def limit(result: Result) -> str:
    """What most worker-seconds were lost to."""
    lost = {what: spent for what, spent in result.spent.items() if what != COMPUTED}
    return max(lost, key=lost.__getitem__)
