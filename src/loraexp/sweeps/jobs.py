"""The jobs of a sweep or a search: checked before the first trains, and none ends the others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from loraexp.adapters.inject import inject
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.model.gpt2 import empty_classifier
from loraexp.model.weights import load_tokenizer
from loraexp.records.record import Failure, is_finished, is_scored
from loraexp.runs.content import OtherContent, present
from loraexp.runs.lock import Busy
from loraexp.runs.name import run_folder
from loraexp.runtime.ranks import is_main_process
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.run import now

log = logging.getLogger("loraexp")
T = TypeVar("T")


def check_jobs(configs: Sequence[TrainConfig]) -> None:
    """Find what only the data and the model can tell (no such file, no such target) before any
    job of a sweep trains.

    Raises:
        UserError: of the first job that could not run.
    """
    for data in {repr(config.data): config.data for config in configs}.values():
        load_data(data)
    for model in {repr(config.model): config.model for config in configs}.values():
        load_tokenizer(model)
    for config in configs:
        present(config, run_folder(config), is_finished)
    for config in configs:  # on the meta device: names and shapes only
        inject(empty_classifier(config.model, config.head, 2), config, config.seed)


@dataclass(frozen=True)
class Job:
    """A job's place in its sweep.

    Args:
        number: from 0.
        trials: how many jobs a search has; None where they are planned beforehand.
    """

    sweep: Sweep
    number: int
    trials: int | None = None


def run_job(config: TrainConfig, job: Job, progress: Any, work: Callable[..., T]) -> T | None:
    """Do `work` on a job and return what it gives; None if it fails, with the reason kept."""
    folder, sweep = run_folder(config), job.sweep
    if is_main_process():
        with going_on(sweep):
            sweep.begin(job.number, folder)
        log.info(sweep.standing(job.number, job.trials))
    try:
        return work(config, sweep.folder.name, progress, patient=True)
    except (Busy, OtherContent):
        raise
    except Exception as error:  # whatever it is: the other jobs can still be trained
        if not is_main_process():
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, (UserError, OSError)):
            reason = f"{type(error).__name__}: {reason}"
            log.debug("", exc_info=error)
        log.error(f"failed: {reason}")
        with going_on(sweep):
            Failure(folder.name, plain(config), reason, now()).write(folder)
        return None


@contextmanager
def going_on(sweep: Sweep) -> Iterator[None]:
    """Where not even that a job failed can be noted, as on a full disk, the sweep ends."""
    try:
        yield
    except OSError as error:
        complete = sum(is_finished(run) or is_scored(run) for run in sweep.begun())
        raise UserError(
            f"{error.strerror or error}: {complete} jobs are complete and keep their results; "
            "the same command goes on from here"
        ) from None
