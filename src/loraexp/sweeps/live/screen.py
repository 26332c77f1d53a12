"""What is shown of a board: one screen for a terminal, lines for everything else. Pure: it prints
nothing."""

from collections.abc import Sequence

from rich.text import Text

from loraexp.results.short_paths import cut_path
from loraexp.runtime.escape import printable
from loraexp.sweeps.live.board import Began, Board, Ended, Event, Running, Stepped
from loraexp.sweeps.sweep_folder import duration

LABEL, BAR, LEAST, MOST = 8, 24, 5, 6  # columns of a label and a bar, its fewest; running jobs
SIGNS = {True: "#-", False: "━─"}  # of a bar, where there is ASCII alone and where there is more


def lines(board: Board, event: Event, now: float) -> list[str]:
    """What a reader of a file or a pipe must know of an event that led to `board`: a job began, or
    it ended, or how far it is, where its loss is told."""
    match event:
        case Began(task):
            best = board.best(task.trial)
            parts = [
                task.what,
                *([f"best so far: {score(best)} ({best.task.what})"] if best else []),
            ]
            return [
                f"{title(board, task.trial, task.number)}: "
                + "; ".join([*parts, *left(board, now)])
            ]
        case Ended(task):
            return [f"{title(board, task.trial, task.number)}: {task.what}: {result(board, event)}"]
        case Stepped(place, loss=loss) if loss is not None and place in board.running:
            what = f"{title(board, *place)}: {board.running[place].task.what}"
            rest = [f"{words} of the sweep" for words in left(board, now)]
            return [f"{what}: {'; '.join([at_step(event), *rest])}"]
    return []


def at_step(now: Stepped) -> str:
    """epoch 1 of 3, step 40 of 131, loss 0.412."""
    epoch = now.doing.replace("/", " of ")
    return f"{epoch}, step {now.step} of {now.steps}, loss {now.loss:.3f}"


def title(board: Board, trial: bool, number: int) -> str:
    return f"{'trial' if trial else 'job'} {number + 1} of {board.count(trial)}"


def result(board: Board, job: Ended) -> str:
    if job.reason is not None:
        return f"failed: {job.reason}"
    if job.accuracy is None:
        return "ended early: it was behind"
    seconds = board.seconds.get(job.task.place)
    took = ", there already" if seconds is None else f" in {duration(seconds)}"
    return f"{score(job)}{took}"


def score(job: Ended) -> str:
    """Of validation texts alone."""
    if job.task.trial:
        return "no validation loss" if job.loss is None else f"validation loss {job.loss:.4f}"
    return f"validation accuracy {job.accuracy:.1%}"


def left(board: Board, now: float) -> list[str]:
    seconds = board.seconds_left(now)
    return [] if seconds is None else [f"about {duration(seconds)} left"]


def screen(board: Board, now: float, width: int, ascii: bool = False) -> Text:
    """All of a sweep in a few lines of `width` columns at most."""
    room, signs = width - LABEL, SIGNS[ascii]
    rows = [("sweep", tail(board.folder, room), "bold")]
    for trial in (True, False):
        if of := board.count(trial):
            done, failed = board.of_kind(trial), failures(board, trial)
            parts = [f"{len(done)} of {of} done", *([f"{failed} failed"] if failed else [])]
            row = beside_bar("", parts, len(done) / of, room, signs)
            rows.append(("trials" if trial else "jobs", row, ""))
    running = [*board.running.values()]
    for number, job in enumerate(running[:MOST]):
        rows.append(("" if number else "now", at_work(job, room, signs), ""))
    if len(running) > MOST:
        rows.append(("", f"and {len(running) - MOST} more", ""))
    best = board.best(trial=False) or board.best(trial=True)
    rows += [("best", head(f"{score(best)} ({best.task.what})", room), "green")] if best else []
    if board.failures:
        last = board.failures[-1]
        rows.append(("failed", head(f"{last.task.what}: {last.reason}", room), "red"))
    took = f"{duration(now - board.began)} so far"
    rows.append(("time", fitted([*left(board, now), took], room), ""))
    text = Text(no_wrap=True, overflow="crop", end="")
    for number, (label, row, style) in enumerate(rows):
        text.append("\n" * bool(number) + f"{label:<{LABEL}}", "dim")
        text.append(row, style)
    return text


def failures(board: Board, trial: bool) -> int:
    return sum(job.task.trial == trial for job in board.failures)


def at_work(job: Running, room: int, signs: str) -> str:
    now = job.now
    parts = [now.doing]
    parts += [f"{now.step}/{now.steps}"] if now.steps else []
    parts += [f"{now.texts_per_second:,.0f} texts/s"] if now.texts_per_second else []
    share = now.step / now.steps if now.steps else None
    return beside_bar(job.task.what, parts, share, room, signs)


def beside_bar(what: str, parts: Sequence[str], share: float | None, room: int, signs: str) -> str:
    """A name, a bar as wide as there is room for and no wider than it needs to be, and words."""
    named = [head(what, max(room // 2, room - BAR - len(", ".join(parts)) - 2))] if what else []
    words = fitted(parts, room - sum(len(name) + 1 for name in named))
    columns = min(BAR, room - len(words) - sum(len(name) + 1 for name in named) - 1)
    if share is not None and columns >= LEAST:
        full = round(columns * share)
        named.append(signs[0] * full + signs[1] * (columns - full))
    return " ".join([*named, words])


def fitted(parts: Sequence[str], room: int) -> str:
    """As many of the parts, first ones first, as there is room for; the first one always."""
    first, *rest = map(printable, parts)
    row = head(first, room)
    for part in rest:
        if len(row) + 2 + len(part) <= room:
            row += f", {part}"
    return row


def head(text: str, most: int) -> str:
    """The beginning of a text that is too long."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: max(0, most - 3)]}..."[:most]


def tail(path: str, most: int) -> str:
    """The end of one, of a path by whole names where there is room for one."""
    text = cut_path(printable(path), most)
    return text if len(text) <= most else f"...{text[len(text) - most + 3 :]}"[-most:]
