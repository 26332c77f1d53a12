"""A board: what happened to a sweep's jobs, and how long the rest will take."""

from functools import reduce

import pytest

from loraexp.sweeps.live.board import Began, Board, Ended, Event, Known, Stepped, Task

JOBS = [Task(False, n, f"job {n}", cost) for n, cost in enumerate(["small", "large", "small"])]
TRIALS = [Task(True, n, f"trial {n}", "small") for n in range(3)]
KNOWN = Known(False, ["small", "large", "small"])


def after(*events: Event) -> Board:
    return reduce(Board.after, events, Board("a", began=0.0))


def done(task: Task, began: float, ended: float, accuracy: float = 0.9) -> list[Event]:
    return [Began(task, began), Ended(task, ended, accuracy, loss=1 - accuracy)]


def test_a_job_is_ahead_then_at_work_then_over() -> None:
    board = after(KNOWN)
    assert (board.count(False), len(board.running), len(board.ended)) == (3, 0, 0)
    board = board.after(Began(JOBS[0], 1.0))
    assert [*board.running] == [(False, 0)]
    board = board.after(Stepped((False, 0), "epoch 1/2", 3, 9, 50.0))
    assert board.running[False, 0].now.step == 3
    board = board.after(Ended(JOBS[0], 2.0, 0.9, 0.1))
    assert (board.count(False), len(board.running), len(board.ended)) == (3, 0, 1)


def test_an_event_leaves_the_board_before_it_as_it_was() -> None:
    board = after(KNOWN)
    board.after(Began(JOBS[0], 1.0))
    assert board == after(KNOWN)


def test_a_step_of_a_job_that_is_over_changes_nothing() -> None:
    board = after(KNOWN, *done(JOBS[0], 0, 1))
    assert board.after(Stepped((False, 0), "late", 1, 2)) == board


def test_before_a_job_has_ended_what_it_has_done_tells_the_time_left() -> None:
    board = after(Known(False, ["a", "a", "a"]), Began(JOBS[0], 0.0), Began(JOBS[1], 0.0))
    board = board.after(Stepped((False, 0), "epoch 1/2", 1, 100))
    assert board.seconds_left(10) is None
    for number in (0, 1):
        board = board.after(Stepped((False, number), "epoch 2/2", 50, 100))
    # Three quarters in 30 s: 40 s each, two of which have 10 s left; both work on what is left.
    assert board.seconds_left(30) == 30


def test_time_left_is_that_of_jobs_of_like_cost() -> None:
    assert after(KNOWN).seconds_left(0) is None
    board = after(KNOWN, *done(JOBS[0], 0, 10), *done(JOBS[1], 10, 110))
    assert board.seconds_left(110) == 10  # the small one that is left, as the small one took
    assert after(KNOWN, *done(JOBS[0], 0, 10)).seconds_left(10) == 20  # for want of a large one


def test_what_a_job_has_spent_is_not_ahead_of_it() -> None:
    board = after(KNOWN, *done(JOBS[0], 0, 10), *done(JOBS[1], 10, 110), Began(JOBS[2], 110))
    assert [board.seconds_left(now) for now in (110, 114, 200)] == [10, 6, 0]


def test_two_at_work_take_half_as_long() -> None:
    board = after(KNOWN, *done(JOBS[0], 0, 10), Began(JOBS[1], 10), Began(JOBS[2], 10))
    assert board.seconds_left(10) == 10


def test_runs_are_not_timed_by_trials_where_a_run_has_ended() -> None:
    known = Known(True, ["small"] * 3)
    board = after(known, KNOWN, *done(TRIALS[0], 0, 2), *done(JOBS[0], 2, 12))
    kinds = [(True, "small"), (False, "large")]
    assert board.expected_of(kinds, board.seconds) == {kinds[0]: 2, kinds[1]: 10}
    board = after(known, *done(TRIALS[0], 0, 2))
    assert board.expected_of(kinds, board.seconds) == dict.fromkeys(kinds, 2)


@pytest.mark.parametrize(
    "end",
    [
        Ended(JOBS[0], 1.0, reason="no memory"),
        Ended(JOBS[0], 1.0),
        Ended(JOBS[0], 1.0, 0.9, 0.1, found=True),
    ],
    ids=["failed", "ended early", "there already"],
)
def test_a_job_that_did_not_train_to_its_end_times_no_other(end: Ended) -> None:
    board = after(KNOWN, Began(JOBS[0], 0.0), end)
    assert board.seconds_left(5) is None
    assert after(KNOWN, Began(JOBS[0], 0.0), Ended(JOBS[0], 1.0, 0.9, 0.1)).seconds_left(5) == 2


def test_what_is_there_already_takes_no_time() -> None:
    known = Known(False, ["small", None, None])
    assert [place for place, _ in after(known).ahead()] == [(False, 0)]


def test_trials_are_best_by_loss_and_runs_by_accuracy() -> None:
    events: list[Event] = []
    for tasks in (TRIALS, JOBS):
        for task, accuracy, loss in zip(tasks, (0.8, 0.9, 0.7), (0.2, 0.3, None), strict=True):
            events += [Began(task, 0), Ended(task, 1, accuracy, loss)]
    board = after(*events)
    trial, run = board.best(trial=True), board.best(trial=False)
    assert trial is not None
    assert run is not None
    assert (trial.task.number, run.task.number) == (0, 1)
    assert after(Began(JOBS[0], 0), Ended(JOBS[0], 1, reason="no")).best(trial=False) is None


def test_the_last_failure_is_the_last() -> None:
    board = after(*(Ended(task, 1.0, reason=task.what) for task in JOBS))
    assert [job.reason for job in board.failures] == ["job 0", "job 1", "job 2"]
