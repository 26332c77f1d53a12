"""Every run below folders, however far it came: finished, scored, failed, cut short or at work."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from loraexp.config.keys import keys
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed
from loraexp.errors import UserError, unknown
from loraexp.records.record import Failure, Record, Trial
from loraexp.results.settings import chosen, conditions, flat
from loraexp.runs.removal import GONE, entries, size, walk
from loraexp.runs.run_folder import CONFIG, RunFolder
from loraexp.runtime.atomic import read_text
from loraexp.sweeps.shown.collect import RESULTS, candidates, has_begun
from loraexp.sweeps.sweep_folder import PLAN

STATES = ("finished", "scored", "failed", "cut_short", "running", "damaged")


@dataclass(frozen=True)
class Listed:
    """A run as a list has it.

    Args:
        state: one of STATES.
        when: it ended, or its latest file was written.
        settings: its flat config and its state; the latter alone where its config is not known.
        accuracy: on test texts.
        told: what it came to, in a few words.
    """

    path: Path
    state: str
    when: datetime
    settings: Mapping[str, Any]
    accuracy: float | None
    told: str
    bytes: int

    @property
    def data(self) -> str:
        """What it learns from; the file's name where it is a user's own."""
        path = self.settings.get("data.path")
        return Path(path).name if path else str(self.settings.get("data.name", ""))


def listing(folders: Sequence[str], where: Sequence[str]) -> list[Listed]:
    """The newest first.

    Args:
        where: as `chosen` has it, and state=one of STATES.

    Raises:
        UserError: a folder that is not there, a condition on no key or no state.
    """
    check(where)
    found: set[Path] = set()
    for below in map(Path, folders):
        if not below.is_dir():
            raise UserError(f"runs={below}: no such folder")
        found |= {run for run in candidates(below, begun=True) if run.is_dir()}
    runs = [run for run in map(look, found) if meets(run.settings, where)]
    return sorted(runs, key=lambda run: (-run.when.timestamp(), str(run.path)))


def check(where: Sequence[str]) -> None:
    known = {name for name, _ in keys(TrainConfig)} | {"state"}
    try:
        wanted = conditions(",".join(where)) if where else []
    except ValueError:
        chosen({}, where)  # raises, in its words
        return
    for key, typed in wanted:
        if key not in known:
            raise UserError(f"where={key}={typed}: {nearest(key, known)}")
        for state in typed.split("|") if key == "state" else ():
            if state not in STATES:
                raise unknown("state", state, STATES)


def nearest(key: str, known: set[str]) -> str:
    from difflib import get_close_matches  # not at start

    near = get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"no key {key!r}; {hint}There are state and the keys of train"


def meets(settings: Mapping[str, Any], where: Sequence[str]) -> bool:
    """What a run's config is not known to be, it is not."""
    keys = [key for key, _ in conditions(",".join(where))] if where else []
    return all(key in settings for key in keys) and chosen(settings, where)


def leftovers(folders: Sequence[str]) -> list[Path]:
    """Folders of runs whose removal was cut short."""
    tops = [at for folder in folders for at, _ in walk(Path(folder))]
    return [gone for at in tops for gone in sorted(at.glob(f"{GONE}*")) if gone.is_dir()]


def named_alone(folder: str) -> bool:
    """Does a path name one run or one sweep, and no folder of many?"""
    path = Path(folder)
    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    return bool({PLAN, *RESULTS} & names) or has_begun(names)


def look(path: Path) -> Listed:
    run, latest = RunFolder(path), datetime.fromtimestamp(newest(path)).astimezone()
    try:
        state, result = result_of(run)
    except UserError as error:
        words = f"damaged: {error}"
        return Listed(path, "damaged", latest, {"state": "damaged"}, None, words, size(path))
    config = result.config if result else config_of(path)
    return Listed(
        path,
        state,
        when_of(result, latest) if result else latest,
        {**flat(config), "state": state},
        result.metrics["test"]["accuracy"] if isinstance(result, Record) else None,
        told(state, result, config, path),
        size(path),
    )


def result_of(run: RunFolder) -> tuple[str, Record | Trial | Failure | None]:
    if run.finished:
        return "finished", run.record()
    if run.busy:
        return "running", None
    if run.failed:
        return "failed", run.failure()
    if run.tried:
        result = run.trial_or_failure()
        return "scored" if isinstance(result, Trial) else "failed", result
    return "cut_short", None


def told(
    state: str, result: Record | Trial | Failure | None, config: Mapping[str, Any], path: Path
) -> str:
    match result:
        case Record():
            return f"test {result.metrics['test']['accuracy']:.1%}"
        case Trial():
            loss = result.metrics["loss"]
            return "no validation loss" if loss is None else f"validation loss {loss:.4f}"
        case Failure():
            return f"failed: {result.reason}"
    words = "running" if state == "running" else "cut short"
    done, of = epochs_of(path), config.get("trainer", {}).get("max_epochs")
    if done is None or of is None:
        return words
    return f"{words} after {done} of {of} epochs"


def when_of(result: Record | Trial | Failure, latest: datetime) -> datetime:
    try:
        return datetime.fromisoformat(result.finished).astimezone()
    except ValueError:  # older than the time was kept
        return latest


def config_of(path: Path) -> dict[str, Any]:
    """Of a run that has no result; empty where it is not known."""
    try:
        content = yaml.safe_load(read_text(path, CONFIG))
        return completed(content) if isinstance(content, dict) else {}
    except (OSError, ValueError, yaml.YAMLError, UserError):
        return {}


def epochs_of(path: Path) -> int | None:
    """How many epochs are behind it, by its curves."""
    try:
        rows = [*csv.DictReader(read_text(path, "metrics.csv").splitlines())]
        return len({row["epoch"] for row in rows if row.get("val_loss")})
    except (OSError, ValueError, KeyError, csv.Error, UserError):
        return None


def newest(path: Path) -> float:
    """When the latest of a run's files was written."""
    return max((file.lstat().st_mtime for file in entries(path)), default=path.stat().st_mtime)
