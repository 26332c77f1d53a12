"""loraexp table: finished runs as arms, with intervals, tests and the reasons for doubt."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from loraexp.config import TableConfig
from loraexp.errors import UserError
from loraexp.results.comparison import findings
from loraexp.results.record import Record, read_record
from loraexp.results.tables import FORMATS, flat


def run(config: TableConfig, sweep: Path | None) -> None:
    records = [r for r in found(config.runs) if all(holds(r, w) for w in config.where)]
    if not records:
        conditions = f" with {', '.join(config.where)}" if config.where else ""
        raise UserError(f"runs={','.join(config.runs)}: no finished run there{conditions}")
    result = findings(records, config.by, config.baseline, config.sort)
    if config.format != "table":
        print(FORMATS[config.format](result.table))
        return
    print(FORMATS["table"](result.brief()))
    for note in ("", *result.notes):
        print(note)


def found(folders: Sequence[str]) -> Iterator[Record]:
    """The records below the folders, each run once; of a sweep's folder, those of its jobs."""
    seen: set[Path] = set()
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise UserError(f"runs={name}: no such folder")
        files = [*folder.rglob("record.json")]
        files += [
            Path(job.read_text().strip()) / "record.json" for job in folder.glob("jobs/*.txt")
        ]
        for file in sorted(files):
            if file.is_file() and file.resolve() not in seen:
                seen.add(file.resolve())
                yield read_record(file.parent)


def holds(record: Record, condition: str) -> bool:
    key, equals, value = condition.partition("=")
    config = flat(record.config)
    if not equals or key not in config:
        raise UserError(f"where={condition}: write key=value with a key of train, e.g. seed=0")
    return str(config[key]) == value
