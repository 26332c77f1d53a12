"""loraexp train: one run, or one job of a sweep, and the table at the end."""

import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from loraexp.atomic import write_whole
from loraexp.config import Logger, TrainConfig
from loraexp.errors import UserError
from loraexp.results.comparison import findings
from loraexp.results.escape import printable
from loraexp.results.naming import varied
from loraexp.results.record import Failure, Record, Trial, by_loss, is_finished, is_scored
from loraexp.results.sweep import Sweep, telling, trials_table
from loraexp.results.tables import FORMATS, narrowed, runs_table
from loraexp.rules import from_dict

log = logging.getLogger("loraexp")
T = TypeVar("T")
# Of the table of runs, where a terminal is narrow.
EXPENDABLE = ("percent", "adapter_bytes", "alpha", "test_f1", "train_accuracy", "targets")


def run(config: TrainConfig, sweep: Path | None) -> None:
    """Train and show one run; as a job of a sweep, leave what the sweep's table needs.

    Raises:
        UserError: a single run that cannot be trained. A sweep notes that and goes on.
    """
    from loraexp.training.progress import Progress
    from loraexp.training.run import train  # heavy: not at start
    from loraexp.training.surroundings import is_main_process

    progress = Progress() if sys.stdout.isatty() else None
    if sweep is not None:
        run_job(config, Sweep(sweep), progress, train)
        return
    record = train(config, progress=progress)
    if is_main_process():
        show([record], run_folder(config))


def search(config: TrainConfig, folder: Path | None) -> float:
    """Train one job of a search; returns its validation loss, which is to be minimal.

    The test texts are not read: `show_search` does that, once, for the best.
    """
    from loraexp.training.progress import Progress
    from loraexp.training.run import score

    assert folder is not None
    trial = run_job(config, Sweep(folder), Progress() if sys.stdout.isatty() else None, score)
    return math.inf if trial is None else by_loss(trial)


def run_job(config: TrainConfig, sweep: Sweep, progress: Any, work: Callable[..., T]) -> T | None:
    """Do `work` on a job and return what it gives; None if it fails, with the reason kept."""
    from hydra.core.hydra_config import HydraConfig

    from loraexp.training.run import now
    from loraexp.training.surroundings import Busy, is_main_process

    folder, number = run_folder(config), HydraConfig.get().job.num
    if is_main_process():
        with going_on(sweep):
            sweep.begin(number, folder)
        log.info(sweep.standing(number, HydraConfig.get().sweeper.get("n_trials")))
    try:
        return work(config, sweep.folder.name, progress, patient=True)
    except Busy:
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
            Failure(folder.name, asdict(config), reason, now()).write(folder)
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


def run_folder(config: TrainConfig) -> Path:
    from loraexp.training.naming import run_folder

    return run_folder(config)


def begin_sweep(folder: Path, configs: Sequence[TrainConfig]) -> None:
    """Check every job, then note what is planned.

    Raises:
        UserError: of the first job that could not run.
    """
    check_jobs(configs)
    Sweep(folder).plan([run_folder(config) for config in configs])


def check_jobs(configs: Sequence[TrainConfig]) -> None:
    """Find what only the data and the model can tell (no such file, no such target) before any
    job of a sweep trains.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.adapters.inject import inject
    from loraexp.data.splits import load_data
    from loraexp.model.gpt2 import empty_classifier
    from loraexp.model.weights import load_tokenizer

    for data in {repr(config.data): config.data for config in configs}.values():
        load_data(data)
    for model in {repr(config.model): config.model for config in configs}.values():
        load_tokenizer(model)
    for config in configs:  # on the meta device: names and shapes only
        inject(empty_classifier(config.model, config.head, 2), config, config.seed)


def show_sweep(folder: Path) -> bool:
    """The table over all jobs of a sweep; False if one of them failed."""
    outcomes = Sweep(folder).outcomes()
    show(outcomes, folder)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failed:
        print(
            f"{len(failed)} of {len(outcomes)} jobs failed; the same command tries these again",
            file=sys.stderr,
        )
    return not failed


def show_search(folder: Path) -> bool:
    """The trials of a search by their validation loss, then the best one's run, measured on the
    test texts now; False if one of them failed."""
    from loraexp.training.run import train

    trials = Sweep(folder).trials()
    table = trials_table(trials)
    write_whole(folder / "trials.csv", FORMATS["csv"](table) + "\n")
    print()
    print(FORMATS["table"](table))
    succeeded = [trial for trial in trials if isinstance(trial, Trial)]
    if not succeeded:
        print("every job failed; the same command tries these again", file=sys.stderr)
        return False
    best = from_dict(TrainConfig, min(succeeded, key=by_loss).config)
    print(f"\nThe best by validation, and its test texts (read now, once): {run_folder(best)}")
    show([train(best, folder.name)], run_folder(best))
    failed = len(trials) - len(succeeded)
    if failed:
        print(
            f"{failed} of {len(trials)} jobs failed; the same command tries these again",
            file=sys.stderr,
        )
    return not failed


def show(outcomes: Sequence[Record | Failure], folder: Path) -> None:
    """Print the table of runs and leave it as table.csv and table.md."""
    table = runs_table(outcomes)
    tables = {"runs": table}
    write_whole(folder / "table.csv", FORMATS["csv"](table) + "\n")
    write_whole(folder / "table.md", FORMATS["markdown"](table) + "\n")
    print()
    print(FORMATS["table"](narrowed(table.without("failed"), EXPENDABLE)))  # reasons are long
    print()
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    if len({record.config["seed"] for record in records}) > 1:
        failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        compared = findings(records, varied(records), failures=failed)
        tables["comparison"] = compared.table
        write_whole(folder / "comparison.csv", FORMATS["csv"](compared.table) + "\n")
        print(FORMATS["table"](compared.brief()), *compared.notes, "", sep="\n")
    pictures = []
    if len(records) > 1:
        from loraexp.results.figures import figures  # matplotlib: not at start
        from loraexp.results.plots import save

        for name, figure in figures(records, varied(records)).items():
            save(figure, folder / name)
            pictures.append(folder / f"{name}.png")
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            print(f"Failed: {telling(outcome, outcomes)}: {printable(outcome.reason)}")
    for note in sorted({record.data["note"] for record in records if record.data["synthetic"]}):
        print(f"Data: {note}.")
    if any(record.config["model"]["weights"] == "random" for record in records):
        print("The base has random weights: it has learnt nothing before.")
    print(f"Wrote {folder}/table.csv and table.md; every run has its own folder beside.")
    sent = [record for record in records if record.config["logger"]["name"] == "wandb"]
    if sent:
        from loraexp.training.loggers import kept_offline, publish_sweep

        if len(records) > 1:
            settings = from_dict(Logger, sent[-1].config["logger"])
            publish_sweep(settings, folder, tables, pictures)
        runs = [run_folder(from_dict(TrainConfig, record.config)) for record in sent]
        if pattern := kept_offline([*runs, folder]):
            print(f"Weights & Biases: kept offline; to send it: wandb sync {pattern}")
