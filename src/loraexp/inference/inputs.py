"""The texts that `loraexp predict` is to label: one, a file's, or stdin's lines, in chunks; beside
each what is carried through with it."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from loraexp.data.files import read_chunks
from loraexp.data.reading import Reading
from loraexp.errors import UserError, listed

CHUNK = 2048  # texts in memory at a time
Row = tuple[str, ...]  # a text, and the cells that go with it


def chunks(
    text: str | None,
    file: str | None,
    text_columns: Sequence[str],
    reading: Reading,
    carried: Sequence[str] = (),
) -> Iterator[list[Row]]:
    """
    Args:
        text_columns: of a file the first of these that it has.
        carried: columns of the file that go with their texts.
    """
    if file is not None:
        path = Path(file)
        if carried and path.suffix.lower() == ".txt":
            raise UserError(f"{file} has a text a line and no columns: leave out columns=")
        columns = [text_column(path, text_columns, reading), *carried]
        for frame in read_chunks(path, columns, CHUNK, reading):
            yield [*frame.itertuples(index=False, name=None)]
        return
    if carried:
        raise UserError(f"columns={listed(carried)} are of a file, and file= names none")
    if text is None:
        reading.check(".txt", "lines on stdin")
        for lines in stdin_lines(reading):
            yield [(line,) for line in lines]
        return
    reading.check("", "text=")
    try:
        # What was typed is UTF-8 also where the locale let Python see bytes only.
        yield [(os.fsencode(text).decode() if halves(text) else text,)]
    except UnicodeError:
        raise UserError("text is not UTF-8") from None


def text_column(file: Path, names: Sequence[str], reading: Reading) -> str:
    """The first of these columns that can be read as texts.

    Raises:
        UserError: what is the matter with the first, if there is none.
    """
    reasons = []
    for name in names:
        try:
            next(read_chunks(file, [name], 1, reading), None)
            return name
        except UserError as error:
            reasons.append(error)
    raise reasons[0]


def halves(text: str) -> bool:
    """Does it have half characters, as which Python passes on bytes that it could not read?"""
    return any("\ud800" <= c <= "\udfff" for c in text)


def begun(chunks: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """The same, the first one read: what is wrong with it is said before a model is loaded."""
    first = list(islice(chunks, 1))
    return chain(first, chunks)


def stdin_lines(reading: Reading) -> Iterator[list[str]]:
    if sys.stdin is None or sys.stdin.closed:
        raise UserError('stdin is closed; predict needs text="...", file=FILE, or lines on stdin')
    if isinstance(sys.stdin, io.TextIOWrapper):
        # Whatever the locale says. What is no text of this encoding comes as halves of characters,
        # so that the line is known: strict decoding fails somewhere in a block of lines.
        sys.stdin.reconfigure(encoding=reading.encoding, errors="surrogateescape")
    lines = whole_lines(sys.stdin, reading)
    # A person or a program that waits for the answer gets it line by line.
    while some := list(islice(lines, 1 if sys.stdout.isatty() else CHUNK)):
        yield some


def whole_lines(stdin: Iterator[str], reading: Reading) -> Iterator[str]:
    """The lines without their ends and the byte order mark."""
    number = 0
    try:
        for number, line in enumerate(stdin, 1):
            line.encode()
            yield (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")
    except UnicodeError as error:
        # A codec that takes no halves, UTF-16, fails at once: somewhere after the lines so far.
        where = (
            f"line {number}" if isinstance(error, UnicodeEncodeError) else f"after line {number}"
        )
        raise UserError(f"stdin, {where}: {reading.is_not()}") from None
