"""A job is data: its config and its place in a sweep; whoever has that can do it, alone or beside
others, and none that fails ends the others."""

import gc
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from loraexp.adapters.inject import inject
from loraexp.config.schema import Adaptation, TrainConfig
from loraexp.config.stored import NO_RUNS, from_dict, plain
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.model.classifier import empty_classifier
from loraexp.model.weights import load_tokenizer
from loraexp.records.record import (
    Failure,
    Record,
    Trial,
    is_finished,
    is_scored,
)
from loraexp.runs.content import OtherContent, present
from loraexp.runs.run_folder import Busy, RunFolder
from loraexp.runs.warm_start import check_source
from loraexp.runtime.atomic import read_text, write_whole
from loraexp.runtime.ranks import is_main_process
from loraexp.sweeps.live.watch import Watch, there
from loraexp.sweeps.sweep_folder import JOBS, TRIALS, Sweep
from loraexp.training.callbacks.pruning import Pruned
from loraexp.training.packs.alone import Apart
from loraexp.training.packs.lockstep import Member
from loraexp.training.run import now, score, train
from loraexp.training.sharding import check_sharding

log = logging.getLogger("loraexp")


@dataclass(frozen=True)
class Sizes:
    """Of data: its train texts, and their length in characters."""

    train: int
    mean: float
    longest: int


def check_jobs(configs: Sequence[TrainConfig]) -> dict[str, Sizes]:
    """Find what only the data and the model can tell (no such file, no such target) before any
    job of a sweep trains; returns the sizes of each config's data, by its repr.

    Raises:
        UserError: of the first job that could not run.
    """
    sizes = {}
    for name, data in {repr(config.data): config.data for config in configs}.items():
        read = load_data(data)
        for config in configs:
            if config.init_from is not None and repr(config.data) == name:
                check_source(config, read.labels)
        lengths = [*map(len, read.train.texts)]
        sizes[name] = Sizes(len(lengths), sum(lengths) / len(lengths), max(lengths))
    for model in {repr(config.model): config.model for config in configs}.values():
        load_tokenizer(model)
    for config in configs:
        folder = RunFolder.of(config)
        present(config, folder, folder.finished)
    kinds = dict[str, TrainConfig]()
    for config in configs:
        kinds.setdefault(adapted(config), config)
    for config in kinds.values():  # on the meta device: names and shapes only
        network = inject(empty_classifier(config.model, config.head, 2), config, config.seed)
        check_sharding(network, config)
    return sizes


def adapted(config: TrainConfig) -> str:
    """What decides which tensors there are and of which shapes: equal of configs that differ in
    nothing of it."""
    own = [getattr(config, f.name) for f in fields(Adaptation)]
    return repr((config.model, config.head, config.trainer.strategy, own))


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Args:
        number: its place among those of its kind, from 0.
        trial: it is measured on validation texts alone.
    """

    sweep: Sweep
    number: int
    config: TrainConfig
    trial: bool = False

    @property
    def kind(self) -> str:
        return TRIALS if self.trial else JOBS

    @property
    def place(self) -> tuple[bool, int]:
        return self.trial, self.number

    def write(self) -> Path:
        """Leave it as a file, from which `read` has it again in any process."""
        config = {**plain(self.config), **{name: getattr(self.config, name) for name in NO_RUNS}}
        content = {"config": config, "directory": str(Path.cwd())}
        file = self.sweep.job_file(self.number, self.kind).with_suffix(".json")
        write_whole(file, json.dumps(content) + "\n")
        return file

    @classmethod
    def read(cls, file: Path) -> "Job":
        content = content_of(file)
        config = from_dict(TrainConfig, content["config"])
        trial, number = file.parent.name == TRIALS, int(file.stem)
        return cls(Sweep(file.parents[1]), number, config, trial)


def content_of(file: Path) -> dict[str, Any]:
    return {**json.loads(read_text(file.parent, file.name))}


def directory_of(file: Path) -> Path:
    """Where the sweep was typed that a job's file is of."""
    return Path(content_of(file)["directory"])


def launch(job: Job, watch: Watch, pruning: Any = None) -> Record | Trial | Failure:
    """Do a job here, or, where it takes several processes that train together, in one of its own,
    which Lightning can start again by its command line.

    Args:
        watch: is told that it began, how far it is and how it ended.
        pruning: the callback that may end a trial early, where it is done here.

    Raises:
        Pruned: a trial was ended early.
    """
    found = there(job.config, job.trial)
    task = watch.began(job.number, job.config, job.trial)
    try:
        alone = job.config.trainer.devices == 1 or not is_main_process()
        outcome = do(job, watch.steps(task), pruning) if alone else do_elsewhere(job)
    except Pruned:
        watch.ended(task, None, found)
        raise
    watch.ended(task, outcome, found)
    return outcome


def do_elsewhere(job: Job) -> Record | Trial | Failure:
    """In a process of its own; it shows in the run's folder what came of it."""
    command = [sys.executable, "-m", "loraexp.sweeps.launchers.worker", str(job.write())]
    process = subprocess.Popen(command)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        return failed(job, f"its process ended with status {status}")
    return outcome_of(job)


def outcome_of(job: Job) -> Record | Trial | Failure:
    """What shows in its run's folder of a job that was done."""
    folder = RunFolder.of(job.config)
    if job.trial:
        return folder.trial_or_failure()
    return folder.record() if folder.finished else folder.failure()


def do(
    job: Job, progress: Any = None, pruning: Any = None, member: Member | None = None
) -> Record | Trial | Failure:
    """Train the run of a job, or score it; a failure is kept, and ends nothing else.

    Args:
        member: of the pack that it is done in.

    Raises:
        Pruned: a trial was ended early.
        Apart, Busy: it cannot be done in this pack.
    """
    config, sweep, folder = job.config, job.sweep, RunFolder.of(job.config)
    if member is None:
        gc.collect()  # a run leaves its network in circles of references: 18 MB each of nano
    if is_main_process():
        with disk_full_guard(sweep):
            sweep.begin(job.number, folder.path, job.kind)
    work: Callable[..., Record | Trial] = partial(score, pruning=pruning) if job.trial else train
    # A pack waits for nobody: who it waited for may wait for one of its runs.
    try:
        return work(config, sweep.folder.name, progress, patient=member is None, member=member)
    except Busy:
        if member is not None:
            raise
        return do(job, progress, pruning)  # taken over by another process: wait for its result
    except (Apart, OtherContent, Pruned):
        raise
    except Exception as error:  # whatever it is: the other jobs can still be trained
        if not is_main_process():
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, (UserError, OSError)):
            reason = f"{type(error).__name__}: {reason}"
            log.debug("", exc_info=error)
        return failed(job, reason)


def failed(job: Job, reason: str) -> Failure:
    """A failure, kept in the run's folder."""
    folder = RunFolder.of(job.config)
    failure = Failure(folder.name, plain(job.config), reason, now())
    with disk_full_guard(job.sweep):
        failure.write(folder.path, job.trial)
    return failure


@contextmanager
def disk_full_guard(sweep: Sweep) -> Iterator[None]:
    """Where not even that a job failed can be noted, as on a full disk, the sweep ends."""
    try:
        yield
    except OSError as error:
        begun = [*sweep.begun(TRIALS), *sweep.begun()]
        complete = sum(is_finished(run) or is_scored(run) for run in begun)
        raise UserError(
            f"{error.strerror or error}: {complete} jobs are complete and keep their results; "
            "the same command goes on from here"
        ) from None
