"""Jobs that share a base, done in step by one process: what of a sweep goes into one pack, and what
is done alone."""

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from typing import Any

from loraexp.adapters.methods import find_method
from loraexp.config.schema import TrainConfig
from loraexp.records.record import Failure, Record, Trial
from loraexp.runs.run_folder import Busy, RunFolder
from loraexp.sweeps.jobs import Job, do
from loraexp.sweeps.live.watch import there
from loraexp.training.lightning_environment import settled
from loraexp.training.packs.alone import Apart
from loraexp.training.packs.lockstep import Member, Pack

log = logging.getLogger("loraexp")
Outcome = Record | Trial | Failure


def packs(jobs: Sequence[Job], width: int, workers: int = 1) -> list[list[Job]]:
    """Each job once, in packs of at most `width` and, as far as they can, of one size and of use to
    every worker. Those of one seed stand together: their batches are alike."""
    alone, sharing = list[Job](), dict[str, list[Job]]()
    reasons: Counter[str] = Counter()
    for job in jobs:
        reason = why_apart(job.config)
        if width > 1 and reason:
            reasons[reason] += 1
        if width == 1 or reason or there(job.config, job.trial):
            alone.append(job)
        else:
            sharing.setdefault(shared(job.config), []).append(job)
    for reason, n in reasons.items():
        log.info(f"{n} of {len(jobs)} jobs are done alone, not in a pack: {reason}")
    made = [[job] for job in alone]
    for some in sharing.values():
        some.sort(key=lambda job: (job.config.seed, job.number))
        made += cut(some, max(ceil(len(some) / width), min(workers, len(some))))
    return made


def cut(jobs: Sequence[Job], parts: int) -> Iterator[list[Job]]:
    """So many parts, the first ones one longer where they cannot all be equal."""
    size, more = divmod(len(jobs), parts)
    at = 0
    for part in range(parts):
        end = at + size + (part < more)
        yield [*jobs[at:end]]
        at = end


def why_apart(config: TrainConfig) -> str | None:
    """Why a run shares its base with none, in words; None where it does."""
    method = find_method(config.method)
    names = ("wte.weight", "h.0.ln_1.weight", "h.0.mlp.fc1.weight", "h.0.mlp.fc1.bias")
    reasons = {
        f"method={config.method} trains tensors of the base": any(method.trains(names, config)),
        "trainer.devices is above 1": config.trainer.devices > 1,
        "trainer.compile=true": config.trainer.compile,
        "trainer.gradient_checkpointing=true": config.trainer.gradient_checkpointing,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def shared(config: TrainConfig) -> str:
    """What runs of one pack must have in common."""
    trainer = config.trainer
    return repr((config.model, config.head.pooling, trainer.precision, trainer.accelerator))


def do_together(
    jobs: Sequence[Job],
    steps: Callable[[Job], Any] = lambda job: None,
    ended: Callable[[Job, Outcome], None] = lambda job, outcome: None,
) -> list[Job]:
    """Do jobs in step; returns those that turned out to be for doing alone.

    Args:
        steps: a callback that tells how far a job is, or None.
        ended: told what came of a job.

    Raises:
        Exception: what ends a sweep, when all others have ended.
    """

    def work(job: Job, member: Member) -> None:
        ended(job, do(job, steps(job), member=member))

    gc.collect()  # what the runs of the pack before left in circles
    pack = Pack([partial(work, job) for job in jobs])
    with settled():
        pack.run()
    again = []
    for job, member in zip(jobs, pack.members, strict=True):
        if isinstance(member.end, Apart | Busy):
            log.info(f"{RunFolder.of(job.config).name} is done alone, not in a pack: {member.end}")
            again.append(job)
        elif member.end is not None:
            raise member.end
    return again
