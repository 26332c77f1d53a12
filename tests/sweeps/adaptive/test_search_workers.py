"""workers=N in a search: N settings at once, whose results alone decide what is drawn next."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from in_process import TINY
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from verbs import plan

from loraexp.config.stored import plain
from loraexp.config.sweep import Search
from loraexp.records.record import Trial
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.adaptive import search as module
from loraexp.sweeps.adaptive.search import Searching, search, study_in
from loraexp.sweeps.jobs import Job, failed
from loraexp.sweeps.live.watch import Unseen
from loraexp.sweeps.sweep_folder import TRIALS

SPACE = (
    "lora.dropout=interval(0,0.5)",
    "lora.alpha=interval(1,64)",
    "optim.lr=tag(log,interval(1e-4,1e-1))",
)
FIRST = 2  # settings that are drawn at random, in place of TPE's ten: results guide the others
Doing = Callable[[Sequence[Job]], None]


def made_up(job: Job) -> Trial:
    """A job done without training. Each is better than all before, so that it makes a difference
    to what is drawn next whether it is known yet."""
    run, config = RunFolder.of(job.config), job.config
    job.sweep.begin(job.number, run.path, TRIALS)
    metrics = {"loss": 1 / (job.number + 1), "accuracy": 0.5}
    trial = Trial(run.name, plain(config), metrics, "2026-11-26T22:00:00+00:00")
    trial.write(run.path)
    return trial


def in_turn(jobs: Sequence[Job]) -> None:
    for job in jobs:
        made_up(job)


def searched(folder: Path, doing: Doing, *words: str) -> list[tuple[Any, ...]]:
    """Of each setting what was drawn, how it ended, and its loss."""
    typed = [*TINY, *SPACE, f"output_dir={folder}", "search.trials=8", *words]
    sweep = search(plan("train", typed), Unseen(), doing)
    trials = study_in(sweep.folder, Search()).get_trials()
    return [(trial.params, trial.state, trial.value) for trial in trials]


@pytest.fixture(scope="module", autouse=True)
def early() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optuna.samplers.TPESampler", partial(TPESampler, n_startup_trials=FIRST))
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    return searched(tmp_path_factory.mktemp("two"), in_turn, "workers=2")


def test_as_many_settings_are_in_hand_as_there_are_workers(tmp_path: Path) -> None:
    waves: list[list[int]] = []

    def doing(jobs: Sequence[Job]) -> None:
        waves.append([job.number for job in jobs])
        in_turn(jobs)

    searched(tmp_path, doing, "search.trials=5", "search.seeds=2", "workers=2")
    assert waves[0] == []  # nothing of before
    assert waves[1:] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_who_is_first_changes_nothing(two: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert searched(tmp_path, lambda jobs: in_turn(jobs[::-1]), "workers=2") == two


def test_what_is_drawn_depends_on_how_many_there_are(
    two: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "launch", lambda job, watch, pruning: made_up(job))
    one = searched(tmp_path, in_turn)
    assert one[:FIRST] == two[:FIRST]
    assert one[FIRST:] != two[FIRST:]


@pytest.mark.parametrize("begun", [3, 4])  # 3: while the second of two is drawn
def test_a_kill_while_settings_are_drawn_changes_nothing(
    two: list[tuple[Any, ...]], begun: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Searching.sampler

    def doomed(self: Searching, so_far: int) -> Any:
        if so_far == begun:
            raise KeyboardInterrupt
        return real(self, so_far)

    with monkeypatch.context() as patch:
        patch.setattr(Searching, "sampler", doomed)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path, in_turn, "workers=2")
    assert searched(tmp_path, in_turn, "workers=2") == two


@pytest.mark.parametrize("done", [1, 6])
def test_a_kill_while_they_are_tried_changes_nothing(
    two: list[tuple[Any, ...]], done: int, tmp_path: Path
) -> None:
    ended: list[Job] = []

    def doomed(jobs: Sequence[Job]) -> None:
        for job in jobs:
            if len(ended) == done:
                raise KeyboardInterrupt
            made_up(job)
            ended.append(job)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, doomed, "workers=2")
    assert searched(tmp_path, in_turn, "workers=2") == two


def test_a_job_that_fails_ends_its_setting_alone(tmp_path: Path) -> None:
    def doing(jobs: Sequence[Job]) -> None:
        for job in jobs:
            made_up(job)
            if job.number == 1:
                (RunFolder.of(job.config).path / "validation.json").unlink()
                failed(job, "the loss is nan")

    states = [state for _, state, _ in searched(tmp_path, doing, "search.trials=4", "workers=2")]
    complete = TrialState.COMPLETE
    assert states == [complete, TrialState.FAIL, complete, complete]
