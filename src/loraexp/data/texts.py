"""The texts that `loraexp predict` is to label: one, a file's, or stdin's lines, in chunks."""

import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from loraexp.data.files import read_chunks
from loraexp.errors import UserError
from loraexp.schemas import PredictConfig

CHUNK = 2048  # texts in memory at a time


def chunks(config: PredictConfig) -> Iterator[list[str]]:
    if config.file is not None:
        for frame in read_chunks(Path(config.file), [config.text_column], CHUNK):
            yield list(frame[config.text_column])
        return
    try:
        for texts in stdin_lines() if config.text is None else [[config.text]]:
            "".join(texts).encode("utf-8")  # fails where Python let other bytes pass
            yield texts
    except UnicodeError:
        raise UserError(f"{'stdin' if config.text is None else 'text'} is not UTF-8") from None


def begun(chunks: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same, the first one read: what is wrong with it is said before a model is loaded."""
    first = list(islice(chunks, 1))
    return chain(first, chunks)


def stdin_lines() -> Iterator[list[str]]:
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    # A person or a program that waits for the answer gets it line by line.
    while some := list(islice(lines, 1 if sys.stdout.isatty() else CHUNK)):
        yield some
