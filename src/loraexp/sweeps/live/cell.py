"""The screen of a sweep in a notebook's cell, drawn anew in its place while the sweep goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.text import Text

from loraexp.runtime.notebook import Panel, safe

COLUMNS, EVERY = 100, 0.5  # of characters; seconds


@contextmanager
def in_cell(shown: Callable[[int, bool], Text]) -> Iterator[None]:
    """While the block lasts, the screen is in the cell; it is gone at the end.

    Args:
        shown: the screen of so many columns; in ASCII alone?
    """
    panel, over = Panel(), Event()

    def draw() -> None:
        text = shown(COLUMNS, False).plain
        lines = "\n".join(safe(line) for line in text.split("\n"))
        panel.show(f"<pre>{lines}</pre>", text)

    def redraw() -> None:
        while not over.wait(EVERY):
            draw()

    draw()  # here, not in the thread: the cell is that of whoever asks
    thread = Thread(target=redraw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        panel.clear()
