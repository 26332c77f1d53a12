"""loraexp train: train an adapter, or with -m one for every combination of values."""

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import SweepConfig
from loraexp.sweeps.plan import Plan

KEYS = SweepConfig  # what a run takes, and what a sweep does with it


def run(config: TrainConfig) -> None:
    """Train and show one run.

    Raises:
        UserError: a run that cannot be trained.
    """
    from loraexp.runs.run_folder import RunFolder  # torch: not at start
    from loraexp.runtime.ranks import is_main_process
    from loraexp.sweeps.live.watch import steps_of_run
    from loraexp.sweeps.shown.counting_words import check_scikit_learn
    from loraexp.sweeps.shown.outcome import show
    from loraexp.training.callbacks.progress import bar
    from loraexp.training.run import train

    if config.baselines:
        check_scikit_learn()
    with bar() as progress:
        record = train(config, progress=progress or steps_of_run())
    if is_main_process():
        show([record], RunFolder.of(config).path, baselines=config.baselines)


def run_sweep(planned: Plan) -> bool:
    """Train every job and show the sweep; False if one of them failed."""
    from loraexp.sweeps.executor import run_sweep

    return run_sweep(planned)
