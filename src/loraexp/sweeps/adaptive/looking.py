"""The final stage in looks: more seeds where arms are not told apart, as declared beforehand."""

import logging
from collections.abc import Iterator, Sequence

from loraexp.config.schema import TrainConfig
from loraexp.results.arms import marks_of
from loraexp.runs.run_folder import RunFolder
from loraexp.stats.looks import Looks, decide, racing
from loraexp.stats.significance import Correct
from loraexp.sweeps.adaptive.tuning import by_arm
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.launchers.crew import Doing
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.sweep_folder import Sweep

log = logging.getLogger("loraexp")


def by_looks(
    configs: Sequence[TrainConfig], looks: Looks, sweep: Sweep, watch: Watch, doing: Doing
) -> None:
    """Train the seeds of each look, of the arms that those before did not tell apart."""
    sweep.declare(looks)
    arms = by_arm(configs)
    going, jobs, before = [*arms], list[TrainConfig](), 0
    for look, seeds in enumerate(looks.seeds, 1):
        wave = [config for arm in going for config in arms[arm][before:seeds]]
        watch.know([*jobs, *wave])
        doing([Job(sweep, number, config) for number, config in enumerate(wave, len(jobs))])
        jobs, before = [*jobs, *wave], seeds
        marks = {name: dict(marked(own[:seeds])) for name, own in arms.items()}
        decisions = decide(looks, look, marks)
        apart = sum(decision.verdict == "told apart" for decision in decisions)
        log.info(f"look at {seeds} seeds: {apart} of {len(decisions)} pairs of arms told apart")
        going = racing(decisions)
        if not going:
            break


def marked(configs: Sequence[TrainConfig]) -> Iterator[tuple[int, Correct]]:
    """By seed, which test texts were labelled rightly, of the runs that are finished."""
    for config in configs:
        if (run := RunFolder.of(config)).finished:
            yield config.seed, marks_of(run.record())
