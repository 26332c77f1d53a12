"""What is shown of a board, on terminals of any width and in lines."""

import io
import re
from functools import reduce

import pytest
from rich.console import Console

from loraexp.sweeps.live.board import Began, Board, Ended, Event, Known, Stepped, Task
from loraexp.sweeps.live.screen import lines, screen

FOLDER = "outputs/sweeps/2026-11-26_18-44-07-14940"
RUNS = [Task(False, n, f"rank={n}, seed={n}", "a") for n in range(12)]
TRIAL = Task(True, 0, "rank=1, lr=0.001", "a")
REASON = "the loss is nan at step 2; try a lower optim.lr or trainer.precision=fp32"
EVENTS: list[Event] = [
    Known(True, ["a"]),
    Known(False, ["a"] * 12),
    Began(TRIAL, 0),
    Ended(TRIAL, 5, accuracy=0.91, loss=0.21),
    Began(RUNS[0], 5),
    Ended(RUNS[0], 75, accuracy=0.981, loss=0.09),
    Began(RUNS[1], 75),
    Ended(RUNS[1], 76, reason=REASON),
    Began(RUNS[2], 76),
    Stepped((False, 2), "epoch 2/3", 45, 131, 675.4),
]


def board(events: list[Event] = EVENTS) -> Board:
    return reduce(Board.after, events, Board(FOLDER, began=0.0))


def drawn(width: int, events: list[Event] = EVENTS, ascii: bool = False) -> list[str]:
    """Each line as it stands on a terminal of that width."""
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(screen(board(events), 80, width, ascii))
    return console.export_text().splitlines()


def test_it_says_all_there_is_to_know() -> None:
    assert drawn(80) == [
        f"sweep   {FOLDER}",
        "trials  ━━━━━━━━━━━━━━━━━━━━━━━━ 1 of 1 done",
        "jobs    ━━━━──────────────────── 2 of 12 done, 1 failed",
        "now     rank=2, seed=2 ━━━━━━━━──────────────── epoch 2/3, 45/131, 675 texts/s",
        "best    validation accuracy 98.1% (rank=0, seed=0)",
        "failed  rank=1, seed=1: the loss is nan at step 2; try a lower optim.lr or tr...",
        "time    about 11 min 36 s left, 1 min 20 s so far",
    ]


def test_where_it_is_narrow_the_least_important_goes() -> None:
    assert drawn(40, ascii=True) == [
        "sweep   .../2026-11-26_18-44-07-14940",
        "trials  #################### 1 of 1 done",
        "jobs    ##------- 2 of 12 done, 1 failed",
        "now     rank=2, seed=2 epoch 2/3, 45/131",
        "best    validation accuracy 98.1% (ra...",
        "failed  rank=1, seed=1: the loss is n...",
        "time    about 11 min 36 s left",
    ]


@pytest.mark.parametrize("width", [20, 40, 41, 60, 79, 80, 200])
@pytest.mark.parametrize("ascii", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, ascii: bool) -> None:
    long = [*EVENTS, Began(Task(False, 3, "name=" + "x" * 300), 76)]
    shown = screen(board(long), 80, width, ascii).plain.splitlines()
    assert len(drawn(width, long, ascii)) == len(shown)
    assert max(map(len, shown)) <= width
    assert not ascii or all(line.isascii() for line in shown)


def test_before_anything_has_happened_there_is_a_screen() -> None:
    assert drawn(80, []) == [f"sweep   {FOLDER}", "time    1 min 20 s so far"]


def test_each_job_at_work_has_a_line_up_to_a_few() -> None:
    shown = drawn(80, [Began(run, 0) for run in RUNS])
    assert sum("loading" in line for line in shown) == 6
    assert any(line.strip() == "and 6 more" for line in shown)


def test_a_name_steers_no_terminal() -> None:
    hostile = Task(False, 0, "path=\x1b[2J\n\u202e")
    events: list[Event] = [Began(hostile, 0), Ended(hostile, 1, reason="\x1b]0;\a\r")]
    shown = screen(board([*events, Began(hostile, 0)]), 1, 80).plain
    assert all(line.isprintable() for line in shown.splitlines())
    assert len(shown.splitlines()) == 5


def test_of_test_texts_nothing_is_known() -> None:
    told = "\n".join([*drawn(80), *(line for e in EVENTS for line in lines(board(), e, 80))])
    assert "validation" in told
    assert not re.search(r"\btest\b", told)


def test_a_job_has_a_line_when_it_begins_and_one_when_it_ends() -> None:
    told, at = [], board([])
    for event in EVENTS:
        at = at.after(event)
        told.append(lines(at, event, getattr(event, "at", 0)))
    assert [line for some in told for line in some] == [
        "trial 1 of 1: rank=1, lr=0.001",
        "trial 1 of 1: rank=1, lr=0.001: validation loss 0.2100 in 5 s",
        "job 1 of 12: rank=0, seed=0; about 1 min 0 s left",
        "job 1 of 12: rank=0, seed=0: validation accuracy 98.1% in 1 min 10 s",
        "job 2 of 12: rank=1, seed=1; best so far: validation accuracy 98.1% (rank=0, seed=0); "
        "about 12 min 50 s left",
        f"job 2 of 12: rank=1, seed=1: failed: {REASON}",
        "job 3 of 12: rank=2, seed=2; best so far: validation accuracy 98.1% (rank=0, seed=0); "
        "about 11 min 40 s left",
    ]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Ended(RUNS[0], 1, 0.5, 0.7, found=True), "validation accuracy 50.0%, there already"),
        (Ended(TRIAL, 1), "ended early: it was behind"),
        (Ended(TRIAL, 1, 0.5, None), "no validation loss in 1 s"),
    ],
    ids=["there already", "ended early", "no loss"],
)
def test_how_a_job_ended_is_told(end: Ended, words: str) -> None:
    assert lines(board([Began(end.task, 0), end]), end, 1)[0].endswith(f": {words}")


def test_a_step_is_a_line_where_its_loss_is_told() -> None:
    told = Stepped((False, 2), "epoch 2/3", 45, 131, 675.4, 0.41234)
    assert lines(board([*EVENTS, told]), told, 80) == [
        f"job 3 of 12: {RUNS[2].what}: epoch 2 of 3, step 45 of 131, loss 0.412; "
        "about 11 min 36 s left of the sweep"
    ]
    assert lines(board(), EVENTS[-1], 80) == []  # the control
