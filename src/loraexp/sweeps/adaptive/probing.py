"""What a run costs on this machine, estimated from some batches of it."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from loraexp.config.schema import Logger, TrainConfig
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.records.record import Failure, Record
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job, outcome_of
from loraexp.sweeps.launchers.crew import crew
from loraexp.sweeps.live.watch import Unseen
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.run import train

log = logging.getLogger("loraexp")
PROBE = 4  # batches
RATED, WIDE = 6, 4  # of a measured speed, and runs in step that show what more of them gain
QUIET = Logger(name="none")


def seconds_a_run(arm: TrainConfig, workers: int) -> float:
    """What a run takes here while all workers have one like it in hand."""
    log.info("a few batches first, to know what a run costs here")
    texts = len(load_data(arm.data).train)
    batches = math.ceil(texts / arm.data.batch_size / arm.trainer.devices)
    share = min(1.0, PROBE / batches)
    scale = arm.trainer.max_epochs / share
    trainer = replace(arm.trainer, limit_batches=PROBE, max_epochs=1)
    with TemporaryDirectory() as folder:
        probe = replace(arm, trainer=trainer, output_dir=folder)
        took = [one.seconds for one in probed(probe, workers)]
    return mean(one["load"] + scale * one["fit"] + one["evaluate"] / share for one in took)


def texts_a_second(config: TrainConfig, workers: int, width: int) -> float:
    """What all workers train together while each has so many runs like this one in step, or WIDE of
    them if they are more."""
    width = min(width, WIDE)
    trainer = replace(config.trainer, limit_batches=RATED, max_epochs=1, train_metrics="sample")
    with TemporaryDirectory() as folder:
        probe = replace(config, trainer=trainer, output_dir=folder, rerun=False, logger=QUIET)
        rates = [one.texts_per_second or 0.0 for one in probed(probe, workers, width)]
    return sum(rates) / width  # a member's seconds are its share of the pack's


def probed(probe: TrainConfig, workers: int, width: int = 1) -> list[Record]:
    """Runs of each of several workers, all at once: of those who have done some before, for one
    that still starts would leave its cores to the others."""
    if workers == width == 1:
        return [train(probe)]
    sweep, each = Sweep(Path(probe.output_dir) / "probe"), workers * width
    jobs = [Job(sweep, at, replace(probe, seed=at)) for at in range(2 * each)]
    with crew(Protocol(workers=workers, width=width), Unseen()) as doing:
        doing(jobs[:each])
        doing(jobs[each:])
    outcomes = [outcome_of(job) for job in jobs[each:]]
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            raise UserError(outcome.reason)
    return [outcome for outcome in outcomes if isinstance(outcome, Record)]
