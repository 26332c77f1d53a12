"""A run's folder as one object: its name, what lies where, how far it has come, who holds it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISDIR

from loraexp.config.own_data import READER, is_own
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import to_yaml
from loraexp.errors import UserError
from loraexp.records import record as files
from loraexp.records.record import Failure, Record, Trial
from loraexp.runs.naming import run_name
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.lease import Held
from loraexp.runtime.locks import LEASE, LOCK, Lock
from loraexp.runtime.ranks import is_main_process

log = logging.getLogger("loraexp")
CONFIG, REPLACED = "config.yaml", "replaced"


class Busy(UserError):
    """Another process trains this run, or has done so meanwhile."""


@dataclass(frozen=True)
class RunFolder:
    """outputs/train/<name>. Of its states finished has a record, scored a trial of a search, failed
    the reason why there is neither; cut short is what has none of them, and a checkpoint."""

    path: Path
    locks: list[Lock] = field(default_factory=list, init=False, repr=False, compare=False)  # held

    @classmethod
    def of(cls, config: TrainConfig) -> "RunFolder":
        """Two configs share one only if they must give the same result. Runs of own files that were
        all called csv once keep that name."""
        folder = Path(config.output_dir) / "train"
        path = folder / run_name(config)
        if is_own(config.data) and not path.exists():
            before = folder / run_name(replace(config, data=replace(config.data, name=READER)))
            path = before if before.exists() else path
        return cls(path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG

    @property
    def checkpoints(self) -> Path:
        return self.path.absolute() / "checkpoints"

    @property
    def finished(self) -> bool:
        return files.is_finished(self.path)

    @property
    def scored(self) -> bool:
        return files.is_scored(self.path)

    @property
    def failed(self) -> bool:
        return files.is_failed(self.path)

    @property
    def tried(self) -> bool:
        """Was it measured on validation texts alone, or failed as it was to be?"""
        return self.scored or files.is_failed_trial(self.path)

    def record(self) -> Record:
        return files.read_record(self.path)

    def trial(self) -> Trial:
        return files.read_trial(self.path)

    def failure(self) -> Failure:
        return files.read_failure(self.path)

    def trial_or_failure(self) -> Trial | Failure:
        return self.trial() if self.scored else files.read_failure(self.path, trial=True)

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
            if path.name not in (LOCK, LEASE):
                path.rename(kept / path.name)
        log.info(f"the run of before is kept in {kept}")

    def replaced(self) -> Record | None:
        """The record of the last run of this name that was set aside; None where there is none."""
        records = []
        for path in (self.path.parents[1] / REPLACED).glob("*"):
            if path.name.rpartition("-")[0] == self.name and files.is_finished(path):
                try:
                    records.append(files.read_record(path))
                except UserError as error:  # a damaged one does not stop another run
                    log.warning(f"warning: {error}")
        return max(records, key=lambda record: record.finished, default=None)

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
        self.locks.append(lock)
        try:
            # Of a process that was killed while writing.
            for partial in self.path.rglob(".partial-*"):
                partial.unlink(missing_ok=True)
            yield
        finally:
            self.locks.remove(lock)
            try:
                if lock.held:
                    self.forsake()
            finally:
                lock.release()

    def check(self, done: bool = False) -> None:
        """To be asked before a result is written: is it ours still, and is none there?

        Args:
            done: there is a result.

        Raises:
            Busy: another process took it over, as this one seemed dead, or has done the same.
        """
        if not is_main_process():  # the main one holds it, and may have written it just now
            return
        if done:
            raise Busy(f"{self.path} was finished by another process: its result stays")
        if not all(lock.held for lock in self.locks):
            raise Busy(f"{self.path} was taken over by another process while this one stood still")

    def lock(self, patient: bool) -> Lock:
        """The lock on the folder, which is made where there is none."""
        lock = Lock(self.path)
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock.acquire(patient)
                return lock
            except Held as who:
                name = str(who) or "another process"
                raise Busy(f"{self.path} is being trained by {name}") from None
            except FileNotFoundError:
                continue  # who held it before has just removed the folder
            except FileExistsError:  # while mkdir looked whether it is one
                with suppress(FileNotFoundError):
                    if not S_ISDIR(self.path.lstat().st_mode):
                        raise

    @property
    def busy(self) -> bool:
        """Does another process hold it?"""
        file = self.path / LOCK
        if file.is_symlink() or not file.is_file():
            return False
        return Lock(self.path).busy

    def forsake(self) -> None:
        """Remove the folder, held by us, if it has but its locks and its config: of a run that was
        refused.

        Who waited for the lock sees that its file is gone and makes another; if that happens before
        the folder is removed, the folder is not empty and stays.
        """
        if {file.name for file in self.path.iterdir()} <= {LOCK, LEASE, CONFIG}:
            with suppress(OSError):  # Windows removes no open file
                self.config_file.unlink(missing_ok=True)
                (self.path / LOCK).unlink()
                (self.path / LEASE).unlink(missing_ok=True)
                self.path.rmdir()
