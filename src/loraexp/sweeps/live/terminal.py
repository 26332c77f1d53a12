"""A screen at the bottom of a terminal, drawn anew while others print, log and warn above it."""

import io
import locale
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

A_SECOND = 4  # times that it is drawn


def has_screen() -> bool:
    """Is what is logged read on a terminal, and one that can draw a line anew?"""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


@contextmanager
def below(shown: Callable[[int, bool], Text]) -> Iterator[None]:
    """While the block lasts, the screen is below; what is printed, logged and warned of meanwhile
    stands above it and stays. The screen is gone at the end, whatever that is.

    Args:
        shown: the screen of so many columns; in ASCII alone?
    """
    console = Steady(file=cast(Any, Terminal(sys.stderr)), force_terminal=True)
    # Redirected by us: rich's own way makes a line of each part of one that is not yet whole.
    live = Live(
        console=console,
        get_renderable=lambda: shown(console.width, console.options.ascii_only),
        refresh_per_second=A_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    above = Above(console)
    with ExitStack() as until_the_end:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                until_the_end.callback(handler.setStream, handler.stream)
                handler.setStream(above)
        if sys.stdout.isatty():
            until_the_end.enter_context(redirect_stdout(above))
        until_the_end.enter_context(redirect_stderr(above))
        until_the_end.enter_context(live)
        until_the_end.callback(above.finish)
        yield


class Steady(Console):
    """A console that leaves the cursor as it is: after a kill nobody would bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class Terminal(io.TextIOBase):
    """The terminal as a console may have it: one that is gone ends no training, and signs that its
    locale has not are not drawn."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return locale.getencoding()

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def isatty(self) -> bool:
        return True


class Above(io.TextIOBase):
    """What is written here comes above the screen, whole lines of it."""

    def __init__(self, console: Console) -> None:
        self.console, self.rest = console, ""

    def write(self, text: str) -> int:
        *whole, self.rest = (self.rest + text).split("\n")
        for line in whole:
            # Of a line that was drawn anew, as bars are, what it was at last.
            last = line.rstrip("\r").rpartition("\r")[2]
            try:
                self.console.print(Text.from_ansi(last), soft_wrap=True)
            except BaseException:  # a signal, as it was written: it is not written once more
                self.console.begin_capture()
                self.console.end_capture()
                raise
        return len(text)

    def finish(self) -> None:
        if self.rest:
            self.write("\n")
