"""What belongs to a comparison beside its finished runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from loraexp.records.record import Failure, Trial
from loraexp.stats.looks import Looks


@dataclass(frozen=True)
class Beside:
    """
    Args:
        failures: jobs that left no record.
        trials: runs that only looked for a learning rate, on validation texts; a failed one was
            tried as well.
        looks: when seeds were added, if that was declared beforehand.
    """

    failures: Sequence[Failure] = ()
    trials: Sequence[Trial | Failure] = ()
    looks: Looks | None = None


NOTHING = Beside()
