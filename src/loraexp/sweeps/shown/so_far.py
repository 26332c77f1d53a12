"""How far a sweep or a search is that another process drives: a line, and its table so far."""

from dataclasses import dataclass

from loraexp.results.tables import FORMATS
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.shown.summary import Summary
from loraexp.sweeps.sweep_folder import TRIALS, Sweep, trials_table


@dataclass(frozen=True)
class SoFar:
    """Args:
    tables: none before anything ended.
    over: nothing is to come.
    """

    line: str
    tables: list[str]
    over: bool


def of_sweep(sweep: Sweep) -> SoFar:
    runs = [RunFolder(path) for path in sweep.planned()]
    finished = sum(run.finished for run in runs)
    others = [run for run in runs if not run.finished]
    at_work = sum(run.busy for run in others)
    failed = sum(run.failed and not run.busy for run in others)
    parts = [f"{finished} of {len(runs)} runs finished"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{at_work} at work"] if at_work else []
    waiting = len(others) - at_work - failed
    parts += [f"{waiting} to come"] if waiting else []
    outcomes = sweep.outcomes()
    tables = [Summary.of(outcomes).text.rstrip("\n")] if outcomes else []
    return SoFar(", ".join(parts), tables, len(outcomes) >= len(runs))


def of_search(sweep: Sweep, asked: int) -> SoFar:
    """Of a search, which plans the best one's runs when all is tried.

    Args:
        asked: trials that it is to have.
    """
    runs, trials = [RunFolder(path) for path in sweep.begun(TRIALS)], sweep.trials()
    best = [RunFolder(path) for path in sweep.planned()]
    over = bool(best) and all(run.finished for run in best)
    at_work = sum(run.busy and not run.tried for run in runs)
    parts = [f"{len(trials)} of {asked} trials tried"]
    parts += [f"{at_work} at work"] if at_work else []
    parts += ["the best one measured"] if over else []
    tables = [FORMATS["table"](trials_table(trials)).rstrip("\n")] if trials else []
    if over:
        tables.append(Summary.of([run.record() for run in best]).text.strip("\n"))
    return SoFar(", ".join(parts), tables, over)
