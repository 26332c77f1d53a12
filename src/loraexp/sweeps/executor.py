"""Run what was planned as a sweep or a search: its jobs, one after another or as Hydra's launchers
have them, and what they come to."""

import importlib
import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loraexp.config.compose import conf_dir, readable
from loraexp.errors import UserError
from loraexp.records.record import Trial, by_loss
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.endings import Ended
from loraexp.sweeps.outcome import show_search, show_sweep
from loraexp.sweeps.plan import TRAIN, Plan, typed
from loraexp.sweeps.sweep_folder import Sweep


def run_sweep(planned: Plan, progress: Any) -> bool:
    """Check every job, do them, show the table; False if one of them failed.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.sweeps.jobs import Job, check_jobs, launch  # torch: not at start

    assert planned.sweep is not None
    sweep = Sweep(planned.sweep)
    check_jobs(planned.jobs)
    sweep.plan([RunFolder.of(config).path for config in planned.jobs])
    if planned.by_hydra:
        hydras(planned, progress)
    else:
        for number, config in enumerate(planned.jobs):
            launch(Job(sweep, number, config), progress)
    return (show_search if planned.search else show_sweep)(sweep)


def hydras(
    planned: Plan, progress: Any = None, single: Callable[[Any], None] | None = None
) -> None:
    """Hand what was typed to Hydra: for its launchers, its sweepers, settings of its own, or to
    print a config.

    Args:
        single: what to do with the config of what is no sweep.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    os.environ["HYDRA_FULL_ERROR"] = "1"  # what stops Hydra itself comes to us as well
    if planned.search:  # its line a trial is ours in other words, and coloured
        importlib.import_module("optuna.logging").set_verbosity(logging.WARNING)

    def task(config: Any) -> float | None:
        sys.argv[1:] = argv  # what a process that Lightning starts reads
        hydra = HydraConfig.get()
        try:
            # As composed there: a sweeper that is not the basic one may make other jobs than ours.
            made = typed(TRAIN, config, hydra.overrides.task)
            if planned.sweep is None:
                assert single is not None
                single(made)
                return None
            from loraexp.sweeps.jobs import Job, launch

            trials = hydra.sweeper.get("n_trials") if planned.search else None
            trial = launch(Job(Sweep(planned.sweep), hydra.job.num, made, trials), progress)
            return by_loss(trial) if isinstance(trial, Trial) else math.inf
        except Exception as error:  # past Hydra, which would print a traceback
            raise Ended(error) from error

    argv, sys.argv[1:] = sys.argv[1:], planned.arguments
    try:
        name = planned.arguments[0].partition("=")[2]
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(task)()
    except Exception as error:
        raise UserError(f"Hydra: {readable(error)}") from error  # of what was typed for it
    finally:
        sys.argv[1:] = argv
        if planned.sweep is not None:  # Hydra's own settings, with this machine's folders in them
            (Path(planned.sweep) / "multirun.yaml").unlink(missing_ok=True)
