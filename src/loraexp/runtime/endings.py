"""How a command ends: by whatever stops it, with one line and a status, and no traceback but in a
file."""

import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from loraexp.errors import UserError
from loraexp.runtime.escape import printable

log = logging.getLogger("loraexp")
GO_ON = "the same command goes on from here"
# What asks a process to end (a terminal that closes, a scheduler), and our word for it.
SIGNALS = {
    "SIGINT": "interrupted",
    "SIGTERM": "terminated",
    "SIGHUP": "hung up",
    "SIGUSR1": "stopped by SIGUSR1",
    "SIGUSR2": "stopped by SIGUSR2",
    "SIGXCPU": "out of CPU time",
}
WORD, LINE = 200, 1000  # longest of an error's words, and longest line


class Stopped(BaseException):
    """One of SIGNALS came. No Exception, for nothing that survives a failure survives this, and no
    KeyboardInterrupt, of which Lightning makes an exit with 1.

    Args:
        lost: called where nobody gets to see it, as when a library's bare `except` drops it.
    """

    def __init__(self, number: int, lost: Callable[[int], None] | None = None) -> None:
        super().__init__(number)
        self.number, self.lost = number, lost

    def __del__(self) -> None:
        if self.lost is not None:
            self.lost(self.number)


class Ended(BaseException):
    """Carries what stopped a job past Hydra, which would print a traceback of it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class Signals:
    """Handlers of SIGNALS: the first raises Stopped, so that what was begun is tidied up; the next,
    and any when the command is over, ends the process on the spot."""

    def __init__(self) -> None:
        self.over = False

    def listen(self) -> None:
        for name in SIGNALS:
            number = getattr(signal, name, None)  # Windows has few of them
            # What is ignored stays so, as SIGHUP under nohup.
            if number and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self.received)

    def received(self, number: int, frame: Any = None) -> None:
        if self.over:
            with suppress(OSError):
                os.write(2, f"{word_of(number)}\n".encode())
            os._exit(128 + number)
        self.over = True
        raise Stopped(number, self.received)

    def unraisable(self, lost: Any) -> None:
        """What was raised where nobody can catch it, as in __del__: a signal's end is not lost."""
        if isinstance(lost.exc_value, Stopped):
            self.received(lost.exc_value.number)
        log.debug("", exc_info=lost.exc_value)


def outcome(command: Callable[[], None]) -> int:
    """Run a command to its end, whatever that is; returns the status to exit with."""
    signals = Signals()
    try:
        signals.listen()
        sys.unraisablehook = signals.unraisable
        command()
        sys.stdout.flush()  # here a full disk can still be told
        status = 0
    except BaseException as error:
        signals.over = True
        status = say(error)
    signals.over = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # Python would try again at its end, and print a traceback
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def say(error: BaseException) -> int:
    """Say in a line what ended the command; returns its status: 2 for a user's mistake, 128 + n for
    signal n, 1 for a bug of ours."""
    if isinstance(error, Ended):
        return say(error.cause)
    if isinstance(error, BrokenPipeError):  # `loraexp predict ... | head` closed its end
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        number: int = signal.SIGINT
        if isinstance(error, Stopped):
            number, error.lost = error.number, None
        line, status = word_of(number), 128 + number
    elif isinstance(error, UserError):
        line, status = f"error: {error}", 2
    elif isinstance(error, OSError):
        line, status = f"error: {of_system(error)}", 2
    elif isinstance(error, MemoryError):
        line, status = "error: out of memory", 2
    else:
        message = str(error).strip() or "no word"
        own = f"loraexp stopped on an error of its own: {type(error).__name__}: {message}"
        line, status = f"{own}; {kept(error)}", 1
    with suppress(OSError, ValueError):
        print(line_of(line), file=sys.stderr)
    return status


def word_of(number: int) -> str:
    return f"{SIGNALS[signal.Signals(number).name]}: {GO_ON}"


def of_system(error: OSError) -> str:
    """What the system says, and of which file: never an error number."""
    files = dict.fromkeys(str(name) for name in (error.filename, error.filename2) if name)
    return f"{error.strerror or error}" + "".join(f": {name}" for name in files)


def kept(error: BaseException) -> str:
    """Write the traceback to a file, and say where it is."""
    import tempfile  # 2 ms: not at start

    try:
        number, name = tempfile.mkstemp(prefix="loraexp-", suffix=".log")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{sys.argv}\nin {Path.cwd()}\n\n")
            file.write("".join(traceback.format_exception(error)))
    except OSError as lost:
        return f"no file could be written for the traceback: {of_system(lost)}"
    return f"the traceback is in {name}"


def line_of(text: str) -> str:
    """A message as a terminal may show it: one line, without control characters, and what is
    untrusted in it, such as a name of 5,000 characters, cut."""
    line = re.sub(rf"\S{{{WORD + 1},}}", lambda m: cut(m[0], WORD), printable(text))
    return cut(line, LINE)


def cut(text: str, most: int) -> str:
    """Head...tail of what is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[-most // 4 :]}"


class OneLine(logging.Formatter):
    """Of a log record one line, whatever is in it."""

    def format(self, record: logging.LogRecord) -> str:
        return line_of(super().format(record))


def begin_log() -> None:
    """Ours to stderr from INFO on, that of others and Python's warnings from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    log.setLevel(logging.INFO)
    logging.raiseExceptions = False  # a stderr that is full or gone ends no training
    warnings.showwarning = warned


def warned(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    log.warning(f"warning: {category.__name__}: {message}")
