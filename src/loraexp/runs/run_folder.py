"""The folder of a run as one object: what lies where in it, how far it has come, who holds it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import to_yaml
from loraexp.errors import UserError
from loraexp.records.record import (
    Failure,
    Record,
    Trial,
    is_failed,
    is_failed_trial,
    is_finished,
    is_scored,
    read_failure,
    read_record,
    read_trial,
)
from loraexp.runs.name import run_name
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.ranks import is_main_process

log = logging.getLogger("loraexp")
LOCK, REPLACED = ".lock", "replaced"


class Busy(UserError):
    """Another process trains this run."""


@dataclass(frozen=True)
class RunFolder:
    """outputs/train/<name>. Of its states finished has a record, scored a trial of a search, failed
    the reason why there is neither; cut short is what has none of them, and a checkpoint."""

    path: Path

    @classmethod
    def of(cls, config: TrainConfig) -> "RunFolder":
        """Two configs share one only if they must give the same result."""
        return cls(Path(config.output_dir) / "train" / run_name(config))

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path.absolute() / "checkpoints"

    @property
    def finished(self) -> bool:
        return is_finished(self.path)

    @property
    def scored(self) -> bool:
        return is_scored(self.path)

    @property
    def failed(self) -> bool:
        return is_failed(self.path)

    @property
    def tried(self) -> bool:
        """Was it measured on validation texts alone, or failed as it was to be?"""
        return self.scored or is_failed_trial(self.path)

    def record(self) -> Record:
        return read_record(self.path)

    def trial(self) -> Trial:
        return read_trial(self.path)

    def failure(self) -> Failure:
        return read_failure(self.path)

    def trial_or_failure(self) -> Trial | Failure:
        return self.trial() if self.scored else read_failure(self.path, trial=True)

    def hashes(self) -> Mapping[str, str]:
        """Of the content that its result says it is of; none where there is no result."""
        if self.finished:
            return self.record().hashes
        return self.trial().hashes if self.scored else {}

    def write_config(self, config: TrainConfig) -> None:
        write_whole(self.config_file, to_yaml(config))

    def set_aside(self) -> None:
        """Move all but the lock that is held on it out of the way: nothing trained is lost."""
        number, parent = 1, self.path.parents[1] / REPLACED
        while (kept := parent / f"{self.name}-{number}").exists():
            number += 1
        kept.mkdir(parents=True)
        # What says that there is a result goes last: a kill in between leaves a run that is there.
        for path in sorted(self.path.iterdir(), key=lambda path: path.suffix == ".json"):
            if path.name != LOCK:
                path.rename(kept / path.name)
        log.info(f"the run of before is kept in {kept}")

    @contextmanager
    def held(self, patient: bool = False) -> Iterator[None]:
        """Hold it: a second process that wants the same run is told so, or waits.

        Raises:
            Busy: another process holds it, and `patient` is False.
        """
        if not is_main_process():  # the main one holds it
            yield
            return
        lock = self.lock(patient)
        try:
            for partial in self.path.rglob(
                ".partial-*"
            ):  # of a process that was killed while writing
                partial.unlink()
            yield
        finally:
            self.forsake()
            lock.release()

    def lock(self, patient: bool) -> FileLock:
        """The lock on the folder, which is made where there is none."""
        lock = FileLock(self.path / LOCK)
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=-1 if patient else 0)
                return lock
            except Timeout:
                raise Busy(f"{self.path} is being trained by another process") from None
            except FileNotFoundError:
                continue  # who held it before has just removed the folder

    def forsake(self) -> None:
        """Remove the folder, held by us, if it has nothing but its lock: of a run that was refused.

        Who waited for the lock sees that its file is gone and makes another; if that happens before
        the folder is removed, the folder is not empty and stays.
        """
        if [file.name for file in self.path.iterdir()] == [LOCK]:
            with suppress(OSError):  # Windows removes no open file
                (self.path / LOCK).unlink()
                self.path.rmdir()
