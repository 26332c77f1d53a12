"""loraexp train: one run, or one job of a sweep or a search, and the table at the end.

What is heavy is imported where it is used: `--help` and a mistake need no torch.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import from_dict
from loraexp.records.record import Failure, Record, Trial, by_loss
from loraexp.results.tables import FORMATS
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.escape import printable
from loraexp.sweeps.summary import Summary, finished
from loraexp.sweeps.sweep_folder import Sweep, trials_table

if TYPE_CHECKING:
    from loraexp.sweeps.jobs import Job


def run(config: TrainConfig, sweep: Path | None) -> None:
    """Train and show one run; as a job of a sweep, leave what the sweep's table needs.

    Raises:
        UserError: a single run that cannot be trained. A sweep notes that and goes on.
    """
    from loraexp.runs.name import run_folder
    from loraexp.runtime.ranks import is_main_process
    from loraexp.sweeps.jobs import run_job
    from loraexp.training.run import train

    if sweep is not None:
        run_job(config, this_job(sweep), progress(), train)
        return
    record = train(config, progress=progress())
    if is_main_process():
        show([record], run_folder(config))


def search(config: TrainConfig, folder: Path | None) -> float:
    """Train one job of a search; returns its validation loss, which is to be minimal.

    The test texts are not read: `show_search` does that, once, for the best.
    """
    from loraexp.sweeps.jobs import run_job
    from loraexp.training.run import score

    assert folder is not None
    trial = run_job(config, this_job(folder), progress(), score)
    return math.inf if trial is None else by_loss(trial)


def this_job(sweep: Path) -> "Job":
    """Which one Hydra is at."""
    from hydra.core.hydra_config import HydraConfig

    from loraexp.sweeps.jobs import Job

    hydra = HydraConfig.get()
    return Job(Sweep(sweep), hydra.job.num, hydra.sweeper.get("n_trials"))


def progress() -> Any:
    from loraexp.training.callbacks.progress import Progress

    return Progress() if sys.stdout.isatty() else None


def begin_sweep(folder: Path, configs: Sequence[TrainConfig]) -> None:
    """Check every job, then note what is planned.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.runs.name import run_folder
    from loraexp.sweeps.jobs import check_jobs

    check_jobs(configs)
    Sweep(folder).plan([run_folder(config) for config in configs])


def show_sweep(folder: Path) -> bool:
    """The table over all jobs of a sweep; False if one of them failed."""
    outcomes = Sweep(folder).outcomes()
    show(outcomes, folder)
    return none_failed(outcomes)


def show_search(folder: Path) -> bool:
    """The trials of a search by their validation loss, then the best one's run, measured on the
    test texts now; False if one of them failed."""
    from loraexp.runs.name import run_folder
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
    where = printable(str(run_folder(best)))
    print(f"\nThe best by validation, and its test texts (read now, once): {where}")
    show([train(best, folder.name)], run_folder(best))
    return none_failed(trials)


def none_failed(outcomes: Sequence[Record | Trial | Failure]) -> bool:
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    if failed:
        print(
            f"{failed} of {len(outcomes)} jobs failed; the same command tries these again",
            file=sys.stderr,
        )
    return not failed


def show(outcomes: Sequence[Record | Failure], folder: Path) -> None:
    """Print the table of runs, leave it and its figures in `folder`, and send them to W&B."""
    summary = Summary.of(outcomes)
    summary.write(folder)
    print(summary.text)
    pictures = summary.draw(folder)
    for note in summary.notes():
        print(note)
    print(f"Wrote {printable(str(folder))}/table.csv and table.md; every run has its own folder.")
    sent = [one for one in finished(outcomes) if one.config["logger"]["name"] == "wandb"]
    if sent:
        from loraexp.training.loggers import publish_sweep

        if pattern := publish_sweep(sent, folder, summary.tables, pictures):
            print(printable(f"Weights & Biases: kept offline; to send it: wandb sync {pattern}"))
