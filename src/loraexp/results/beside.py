"""What belongs to a comparison beside its finished runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loraexp.records.inspection import Inspection
from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arm_keys import START, WITHOUT
from loraexp.results.outside import OutsideLine
from loraexp.results.settings import flat, uses
from loraexp.stats.looks import Looks


@dataclass(frozen=True)
class Beside:
    """
    Args:
        failures: jobs that left no record.
        trials: runs that only looked for a learning rate, on validation texts; a failed one was
            tried as well.
        looks: when seeds were added, if that was declared beforehand.
        lines: what needs no network, on the same texts.
        inspected: what was measured of finished runs afterwards, by the sha256 of their adapter.
    """

    failures: Sequence[Failure] = ()
    trials: Sequence[Trial | Failure] = ()
    looks: Looks | None = None
    lines: Sequence[OutsideLine] = ()
    inspected: Mapping[str, Inspection] = field(default_factory=dict)

    def inspection(self, record: Record) -> Inspection | None:
        return self.inspected.get(record.hashes.get("adapter", ""))


NOTHING = Beside()
UNKNOWN = ("split", START)  # of a job that failed


def only_failed(
    failures: Sequence[Failure],
    records: Sequence[Record],
    by: Sequence[str],
    known: set[tuple[Any, ...]],
) -> list[tuple[Any, ...]]:
    """Names of arms that have no record at all."""
    of_method = {record.config["method"]: record for record in records}
    names = {}
    for failure in failures:
        config = flat(failure.config)
        config |= {key: config.get(key) or words for key, words in WITHOUT.items()}
        like = of_method.get(config["method"])
        name = tuple(config.get(key) if like is None or uses(like, key) else None for key in by)
        # its split and start are not known: where rows are named by these, another arm's of the
        # same name are its
        names[name] = all(
            any(a != b for key, a, b in zip(by, name, other, strict=True) if key not in UNKNOWN)
            for other in known
        )
    return [name for name, alone in names.items() if alone]
