"""What a run, a sweep or a search came to, on the terminal, in its folder and on W&B."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import from_dict
from loraexp.records.record import Failure, Record, Trial, by_loss
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.tables import FORMATS
from loraexp.runs.naming import config_hash
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.escape import printable, wrapped
from loraexp.sweeps.shown.counting_words import lines_of
from loraexp.sweeps.shown.next_step import next_step
from loraexp.sweeps.shown.summary import Summary, finished
from loraexp.sweeps.sweep_folder import Sweep, trials_table

CURVES = "loss.png"  # of a run's folder


def show_sweep(sweep: Sweep, typed: Sequence[str] = (), baselines: bool = False) -> bool:
    """The table over all jobs of a sweep; False if one of them failed.

    Args:
        typed: as of next_step.
    """
    outcomes = sweep.outcomes()
    show(outcomes, sweep.folder, sweep.beside(outcomes), typed, baselines)
    return none_failed(outcomes)


def show_search(sweep: Sweep, baselines: bool = False) -> bool:
    """The trials of a search by their validation loss, then the best one's run, measured on the
    test texts now; False if one of them failed."""
    from loraexp.training.run import train

    trials, folder = sweep.trials(), sweep.folder
    table = trials_table(trials)
    write_whole(folder / "trials.csv", FORMATS["csv"](table) + "\n")
    print()
    print(FORMATS["table"](table))
    settings: dict[str, list[Trial]] = {}
    for trial in trials:
        if isinstance(trial, Trial):
            own = from_dict(TrainConfig, {**trial.config, "seed": 0})
            settings.setdefault(config_hash(own), []).append(trial)
    whole = max(map(len, settings.values()), default=0)  # a setting that lost a seed is not chosen
    tried = [runs for runs in settings.values() if len(runs) == whole]
    if not tried:
        print("every job failed; the same command tries these again", file=sys.stderr)
        return False
    best = [from_dict(TrainConfig, one.config) for one in min(tried, key=mean_loss)]
    runs = [RunFolder.of(config).path for config in best]
    sweep.plan(runs)
    where = ", ".join(printable(str(run)) for run in runs)
    print(f"\nThe best by validation, and its test texts (read now, once): {where}")
    records = [train(config, folder.name, patient=True) for config in best]
    show(records, folder, baselines=baselines)
    return none_failed(trials)


def mean_loss(trials: Sequence[Trial]) -> float:
    return math.fsum(map(by_loss, trials)) / len(trials)


def none_failed(outcomes: Sequence[Record | Trial | Failure]) -> bool:
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    if failed:
        print(
            f"{failed} of {len(outcomes)} jobs failed; the same command tries these again",
            file=sys.stderr,
        )
    return not failed


def show(
    outcomes: Sequence[Record | Failure],
    folder: Path,
    beside: Beside = NOTHING,
    typed: Sequence[str] = (),
    baselines: bool = False,
) -> None:
    """Print the table of runs, what it comes to, where all of it lies and what to do next; leave
    table and figures in `folder`, and send them to W&B."""
    records = finished(outcomes)
    if baselines:
        beside = replace(beside, lines=lines_of(records))
    summary = Summary.of(outcomes, beside)
    summary.write(folder)
    print(summary.text.rstrip("\n"))
    pictures = summary.draw(folder)
    for part in (wrapped(summary.notes()), wrapped(summary.answers())):
        if part:
            print("", *part, sep="\n")
    print()
    where = printable(str(folder))
    if figures := [*pictures, *(folder / name for name in [CURVES] if (folder / name).is_file())]:
        others = f" and {len(figures) - 1} more" if len(figures) > 1 else ""
        print(f"Figure: {where}/{figures[0].name}{others}, also as SVG and PDF")
    print(f"Tables: {where}/table.csv and .md")
    if step := next_step(records, folder, typed):
        print(printable(step))
    sent = [one for one in records if one.config["logger"]["name"] == "wandb"]
    if sent:
        from loraexp.training.loggers import publish_sweep

        if pattern := publish_sweep(sent, folder, summary.tables, pictures):
            print(printable(f"Weights & Biases: kept offline; to send it: wandb sync {pattern}"))
