"""What a sweep tells its board: jobs by what varies, and those that are there already."""

import logging
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small import small_run

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import Tune
from loraexp.records.record import Failure
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.live import watch
from loraexp.sweeps.live.board import Stepped
from loraexp.sweeps.live.watch import EVERY, FEW, Once, Unseen, Watch, cost
from loraexp.sweeps.plan import Plan


@pytest.fixture
def jobs(tmp_path: Path) -> list[TrainConfig]:
    plain = small_run(tmp_path, epochs=1, logger="none")
    return [
        replace(plain, seed=seed, lora=replace(plain.lora, rank=rank))
        for rank in (2, 4)
        for seed in (0, 1)
    ]


def watch_of(jobs: list[TrainConfig], tune: Tune | None = None) -> Watch:
    planned = Plan(jobs, Path("a"), [], protocol=Protocol(tune=tune))
    return Watch.of(planned, Path("a"), on_screen=False)


def test_a_job_is_told_by_what_varies(jobs: list[TrainConfig]) -> None:
    watch = watch_of(jobs)
    assert [watch.in_words(job, trial=False) for job in jobs] == [
        *("rank=2, seed=0", "rank=2, seed=1", "rank=4, seed=0", "rank=4, seed=1")
    ]
    assert watch_of(jobs[:1]).in_words(jobs[0], trial=False) == RunFolder.of(jobs[0]).name


def test_where_rates_are_tuned_a_job_is_told_by_its_own(jobs: list[TrainConfig]) -> None:
    watch = watch_of(jobs, Tune())
    tried = replace(jobs[0], seed=10_000, optim=replace(jobs[0].optim, lr=0.01, lr_factor=0.3))
    assert watch.in_words(tried, trial=True) == "rank=2, lr=0.003"
    assert watch.in_words(replace(tried, seed=1), trial=False) == "rank=2, seed=1, lr=0.003"


def test_seed_and_optimizer_cost_nothing_and_ranks_do(jobs: list[TrainConfig]) -> None:
    first, other_seed, other_rank, _ = map(cost, jobs)
    assert first == other_seed != other_rank
    assert cost(replace(jobs[0], optim=replace(jobs[0].optim, lr=0.5))) == first


def test_a_run_that_is_there_is_not_ahead_unless_it_is_run_again(
    jobs: list[TrainConfig], finished: Path
) -> None:
    there = RunFolder.of(jobs[1]).path
    there.mkdir(parents=True)
    (there / "record.json").write_bytes((finished / "record.json").read_bytes())
    watch = watch_of(jobs)
    watch.know(jobs)
    assert [place for place, _ in watch.board.ahead()] == [(False, 0), (False, 2), (False, 3)]
    watch.know([replace(job, rerun=True) for job in jobs])
    assert len([*watch.board.ahead()]) == 4


def test_a_failure_is_an_error_and_a_beginning_is_none(
    jobs: list[TrainConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watch = watch_of(jobs)
    task = watch.began(0, jobs[0], trial=False)
    watch.ended(task, Failure("a", {}, "no memory", ""), found=False)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert caplog.messages[-1] == "job 1 of 1: rank=2, seed=0: failed: no memory"
    assert watch.steps(task).every == EVERY
    assert Unseen().steps(task) is None  # nobody looks


def test_it_goes_to_another_process(jobs: list[TrainConfig]) -> None:
    watch = watch_of(jobs)
    watch.know(jobs)
    assert pickle.loads(pickle.dumps(watch)).board == watch.board


def test_what_all_jobs_say_is_said_once_and_errors_each_time() -> None:
    once, made = Once(), logging.getLogger("loraexp").makeRecord
    info, error = (
        made("loraexp", level, "", 0, "a message", (), None)
        for level in (logging.INFO, logging.ERROR)
    )
    assert [once.filter(record) for record in (info, info)] == [True, False]
    assert [once.filter(record) for record in (error, error)] == [True, True]


def told_of(
    told: Watch, jobs: list[TrainConfig], caplog: pytest.LogCaptureFixture, clock: Iterator[float]
) -> list[list[int]]:
    """Which jobs, by number, have a line after each time that all of them tell a step."""
    caplog.set_level(logging.INFO)
    places = [told.began(number, job, trial=False).place for number, job in enumerate(jobs)]
    rounds = []
    for _ in clock:
        begun = len(caplog.messages)
        for place in places:
            told.tell(Stepped(place, "epoch 1/2", 3, 10, None, 0.5))
        rounds.append([int(line.split()[1]) for line in caplog.messages[begun:]])
    return rounds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Half minutes: as one is taken, the watch sees it."""

    def pass_by() -> Iterator[float]:
        for number in range(4):
            now = 1000 + number * EVERY
            monkeypatch.setattr(watch.time, "time", lambda now=now: now)
            yield now

    return pass_by()


def test_each_of_a_few_jobs_side_by_side_is_told_each_half_minute(
    jobs: list[TrainConfig], caplog: pytest.LogCaptureFixture, clock: Iterator[float]
) -> None:
    """None waits for another: a job that is always a little later than another one is told too."""
    assert told_of(watch_of(jobs), jobs, caplog, clock) == [[1, 2, 3, 4]] * 4
    assert caplog.messages[-1] == (
        "job 4 of 4: rank=4, seed=1: epoch 1 of 2, step 3 of 10, loss 0.500"
    )


def test_of_many_jobs_side_by_side_a_few_are_told_in_turn(
    jobs: list[TrainConfig], caplog: pytest.LogCaptureFixture, clock: Iterator[float]
) -> None:
    many = [replace(jobs[0], seed=seed) for seed in range(10)]
    rounds = told_of(watch_of(many), many, caplog, clock)
    assert rounds == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10], [1, 2, 3, 4]]
    assert max(map(len, rounds)) == FEW


def test_a_job_that_tells_its_steps_more_often_has_no_more_lines(
    jobs: list[TrainConfig], caplog: pytest.LogCaptureFixture, clock: Iterator[float]
) -> None:
    next(clock)
    assert told_of(watch_of(jobs), jobs[:1], caplog, iter([0.0, 0.0])) == [[1], []]
