"""Texts of strangers (data, labels, names, paths, questions) as each kind of output must have them.

One rule an output, applied where a text enters it: none is taken there for the output's own signs.
HTML has Jinja's, figures have `glyphs`, JSON has its own.
"""

import re
from collections.abc import Iterable
from functools import partial
from shutil import get_terminal_size
from textwrap import fill
from typing import TypeVar

T = TypeVar("T")

# What a spreadsheet takes for a formula, full-width signs too, and the guard's own sign.
GUARDED = (*"=+-@\t\r\n'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# As in CommonMark, in GitHub's dialect (tables, links made of bare addresses) and in formulas.
MARKDOWN = re.compile(
    r"""[\\`*{}\[\]~$^|<>&@]
    | (?<![^\W_])_ | _(?![^\W_])                # inside a word it formats nothing
    | (?<=[a-zA-Z]):(?=\S) | (?<=www)\.         # http://x and www.x would become links
    | ^(?:[#=:] | [-+](?=[-+\s]|$))             # a heading, a rule, a list
    | (?P<number>^\d{1,9})(?=[.)](?:\s|$))      # a numbered one
    """,
    re.VERBOSE,
)
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{c: f"{{{c}}}" for c in "[]*"},  # after a row's \\ these are its arguments
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},  # other letters in OT1
}


def printable(text: str) -> str:
    """Data texts cannot steer a terminal: control characters are shown as escapes, and so are all
    that have no shape, break a line or turn its direction."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def spreadsheet_safe(cell: T) -> T | str:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front, and so does
    one that begins with an apostrophe: whoever takes one away where there is one has the text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(GUARDED) else cell


def markdown_safe(text: str) -> str:
    """Reads as the text: nothing in it formats, links, ends a cell or begins a block."""
    line = printable(text).strip()  # four blanks in front would make code of it
    return MARKDOWN.sub(escaped, line)


def escaped(match: re.Match[str]) -> str:
    sign = match[0]
    return f"{sign}\\" if match["number"] else ENTITIES.get(sign, f"\\{sign}")


def markdown_notes(notes: Iterable[str]) -> str:
    """A line each; those that we lead with a dash are a list."""
    lines: list[str] = []
    for note in notes:
        bare = note.removeprefix("- ")
        if bare == note and lines and lines[-1].startswith("- "):
            lines.append("")  # or it would be of the list's last item
        lines.append(("- " if bare != note else "") + markdown_safe(bare))
    return "\n".join(lines)


def wrapped(texts: Iterable[str]) -> list[str]:
    """For a terminal: lines of whole words, each text's later ones set in."""
    columns = max(40, get_terminal_size().columns)
    whole_words = partial(fill, width=columns, break_long_words=False, break_on_hyphens=False)
    return [
        whole_words(printable(text), subsequent_indent="  " * text.startswith("- "))
        for text in texts
    ]


def latex_safe(text: str) -> str:
    """Reads as the text: no command, no formula, no end of a cell or a row."""
    return "".join(LATEX.get(c, c) for c in printable(text))
