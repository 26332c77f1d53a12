"""Where a run comes from: the run whose adapter it started from (init_from), and that one's."""

from collections.abc import Sequence
from dataclasses import dataclass

from loraexp.records.record import Record

DIGITS = 16  # of a sha256


@dataclass(frozen=True)
class Step:
    """A run from whose adapter another started.

    Args:
        name: of its folder.
        digest: the adapter's sha256 as it was then, its first digits.
        anchor: of its page; None where it is not in the report.
        remark: why the steps end here; "" where another follows.
    """

    name: str
    digest: str
    anchor: str | None
    remark: str = ""


def lineages(records: Sequence[Record], anchors: Sequence[str]) -> list[list[Step]]:
    """Of each run the steps back, the nearest first, as far as the runs are in the report. A source
    is known by its adapter, not by a name that may be another run's by now."""
    made: dict[str, list[int]] = {}
    for at, record in enumerate(records):
        made.setdefault(record.hashes.get("adapter", ""), []).append(at)
    names = {record.name for record in records}

    def steps(record: Record) -> list[Step]:
        found: list[Step] = []
        seen = set[int]()  # hashes of strangers' records may lead in a circle
        while digest := record.hashes.get("init_from"):
            name = str(record.config["init_from"]).rstrip("/").rpartition("/")[2]
            known = [at for at in made.get(digest, []) if at not in seen]
            if not known:
                other = name in names and digest not in made
                why = "in this report with another adapter" if other else "not in this report"
                return [*found, Step(name, digest[:DIGITS], None, why)]
            at = min(known, key=lambda at: records[at].name != name)  # of equal ones its namesake
            seen.add(at)
            record = records[at]
            last = "" if record.hashes.get("init_from") else "which began with a new adapter"
            found.append(Step(record.name, digest[:DIGITS], anchors[at], last))
        return found

    return [steps(record) for record in records]
