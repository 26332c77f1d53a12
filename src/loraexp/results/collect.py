"""Finished runs on the disk: found below folders or through a sweep, filtered by their settings."""

from collections.abc import Sequence
from pathlib import Path

from loraexp.errors import UserError
from loraexp.results.record import Record, read_record
from loraexp.results.tables import flat


def collect(folders: Sequence[str], where: Sequence[str]) -> dict[Path, Record]:
    """The records below the folders by their runs' folders, each once; of a sweep's folder, those
    of its jobs.

    Args:
        where: conditions key=value that all must hold, of the config.

    Raises:
        UserError: a folder that is not there, a condition on no key, or no run that is left.
    """
    runs: dict[Path, Record] = {}
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise UserError(f"runs={name}: no such folder")
        files = [*folder.rglob("record.json")]
        files += [
            Path(job.read_text().strip()) / "record.json" for job in folder.glob("jobs/*.txt")
        ]
        for run in sorted({file.parent.resolve() for file in files if file.is_file()} - {*runs}):
            record = read_record(run)
            if all(holds(record, condition) for condition in where):
                runs[run] = record
    if not runs:
        conditions = f" with {', '.join(where)}" if where else ""
        raise UserError(f"runs={','.join(folders)}: no finished run there{conditions}")
    return runs


def holds(record: Record, condition: str) -> bool:
    key, equals, value = condition.partition("=")
    config = flat(record.config)
    if not equals or key not in config:
        raise UserError(f"where={condition}: write key=value with a key of train, e.g. seed=0")
    return str(config[key]) == value
