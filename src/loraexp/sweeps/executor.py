"""Run what was planned as a sweep: its jobs, stage by stage, one after another or as Hydra's
launchers have them, and what they come to."""

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loraexp.config.compose import conf_dir, readable
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Failure, by_loss
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.endings import Ended
from loraexp.runtime.escape import printable
from loraexp.sweeps.live.watch import Watch, watching
from loraexp.sweeps.plan import TRAIN, Plan, typed
from loraexp.sweeps.shown.counting_words import check_scikit_learn
from loraexp.sweeps.shown.outcome import show_search, show_sweep
from loraexp.sweeps.sweep_folder import TRIALS, Sweep

if TYPE_CHECKING:
    from loraexp.sweeps.launchers.crew import Doing


def run_sweep(planned: Plan) -> bool:
    """Check every job, do them, show the table; False if one of them failed.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.sweeps.driving import driven

    planned = ready(planned)
    assert planned.sweep is not None
    if planned.protocol.search:
        return run_search(planned)
    sweep = Sweep(planned.sweep)
    if not planned.protocol.launcher.wait:
        leave(planned, sweep, [RunFolder.of(config).path for config in planned.jobs])
        return True
    with driven(sweep.folder):
        drive(planned, sweep)
        plain = not (planned.by_hydra or planned.protocol.tune or planned.protocol.seeds)
        return show_sweep(sweep, planned.overrides if plain else (), planned.baselines)


def run_search(planned: Plan) -> bool:
    """As run_sweep. Several processes may do one search: the first of them drives it.

    Raises:
        UserError: nobody is to wait for it, and another process drives it already; one that is
            gone on with and is no more what it was, as after a change of the defaults.
    """
    from loraexp.sweeps.adaptive.search import folder_of, search  # optuna: not at start
    from loraexp.sweeps.driving import Driver, driven, keep_command
    from loraexp.sweeps.launchers.crew import crew

    plan, folder = planned.protocol, folder_of(planned)
    given = planned.sweep
    if given and given.parent.name == folder.parent.name and given.name != folder.name:
        raise UserError(f"sweep={given}: what was typed there is another search now: {folder}")
    if not plan.launcher.wait:
        if driver := Driver.of(folder):
            raise UserError(f"sweep={folder}: {driver} drives it")
        leave(planned, Sweep(folder), [])
        return True
    with driven(folder, alone=False) as drives:
        if drives:
            keep_command(folder, planned)
        with watching(planned, folder) as watch, crew(plan, watch, folder) as doing:
            sweep = search(planned, watch, doing)
        return show_search(sweep, planned.baselines)


def leave(planned: Plan, sweep: Sweep, runs: list[Path]) -> None:
    """Leave a sweep to a process in the background."""
    from loraexp.sweeps.driving import in_background, keep_command

    keep_command(sweep.folder, planned)
    sweep.plan(runs)
    print(*map(printable, in_background(sweep.folder)), sep="\n")


def ready(planned: Plan) -> Plan:
    """Every job checked, and how many run at once decided.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.sweeps.jobs import check_jobs  # torch: not at start
    from loraexp.sweeps.launchers.crew import check_launcher
    from loraexp.sweeps.pace import decided

    check_launcher(planned.protocol.launcher)
    if planned.baselines:
        check_scikit_learn()
    protocol = decided(planned.protocol, planned.jobs, check_jobs(planned.jobs))
    return replace(planned, protocol=protocol)


def drive(planned: Plan, sweep: Sweep) -> None:
    """Do a sweep's jobs, those that are done already included."""
    from loraexp.sweeps.driving import keep_command
    from loraexp.sweeps.launchers.crew import crew

    plan = planned.protocol
    keep_command(sweep.folder, planned)
    sweep.plan([RunFolder.of(config).path for config in planned.jobs])
    with watching(planned, sweep.folder) as watch, crew(plan, watch, sweep.folder) as doing:
        do_all(planned, sweep, watch, doing)


def do_all(planned: Plan, sweep: Sweep, watch: Watch, doing: "Doing") -> None:
    jobs: Sequence[TrainConfig] = planned.jobs
    if planned.by_hydra:
        watch.know(jobs)
        hydras(planned, watch)
        return
    if planned.protocol.tune:
        jobs = tuned(planned, sweep, watch, doing)
        sweep.plan([RunFolder.of(config).path for config in jobs])
    if planned.protocol.seeds:
        from loraexp.sweeps.adaptive.looking import by_looks

        by_looks(jobs, planned.protocol.seeds, sweep, watch, doing)
    else:
        train_all(jobs, sweep, watch, doing)


def tuned(planned: Plan, sweep: Sweep, watch: Watch, doing: "Doing") -> list[TrainConfig]:
    """Try learning rates until every arm has its own; returns the final runs with theirs."""
    from loraexp.sweeps.adaptive.tuning import Tuning
    from loraexp.sweeps.jobs import Job

    rule = planned.protocol.tune
    assert rule is not None
    tuning, trials = Tuning.of(planned.jobs, rule, planned.protocol.factors), list[TrainConfig]()
    seeds = planned.protocol.seeds
    first = seeds.seeds[0] if seeds else None  # so many of an arm are sure to come
    watch.know([final for finals in tuning.arms.values() for final in finals[:first]])
    while wave := tuning.missing(begun := {*sweep.begun(TRIALS)}):
        watch.know([*trials, *wave], trial=True)
        doing([Job(sweep, at, config, trial=True) for at, config in enumerate(wave, len(trials))])
        trials += wave
    tuning.write(sweep.folder, begun)
    return tuning.finals(begun)


def train_all(configs: Sequence[TrainConfig], sweep: Sweep, watch: Watch, doing: "Doing") -> None:
    from loraexp.sweeps.jobs import Job

    watch.know(configs)
    doing([Job(sweep, number, config) for number, config in enumerate(configs)])


def hydras(
    planned: Plan, watch: Watch | None = None, single: Callable[[Any], None] | None = None
) -> None:
    """Hand what was typed to Hydra: for its launchers, its sweepers, settings of its own, or to
    print a config.

    Args:
        single: what to do with the config of what is no sweep.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    os.environ["HYDRA_FULL_ERROR"] = "1"  # what stops Hydra itself comes to us as well

    def task(config: Any) -> float | None:
        sys.argv[1:] = argv  # what a process that Lightning starts reads
        job = HydraConfig.get()
        try:
            # As composed there: a sweeper that is not the basic one may make other jobs than ours.
            made = typed(TRAIN, config, job.overrides.task)
            if planned.sweep is None or watch is None:
                assert single is not None
                single(made)
                return None
            from loraexp.sweeps.jobs import Job, launch

            outcome = launch(Job(Sweep(planned.sweep), job.job.num, made), watch)
            return math.inf if isinstance(outcome, Failure) else by_loss(outcome)
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
