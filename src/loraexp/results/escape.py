"""Texts of data sets are untrusted: what each kind of output must not take for its own signs."""

from typing import TypeVar

T = TypeVar("T")


def printable(text: str) -> str:
    """Data texts cannot steer a terminal: control characters are shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# What a spreadsheet takes for a formula, full-width signs too, and the guard's own sign.
GUARDED = (*"=+-@\t\r\n'", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def spreadsheet_safe(cell: T) -> T | str:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front, and so does
    one that begins with an apostrophe: whoever takes one away where there is one has the text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(GUARDED) else cell


def markdown_safe(text: str) -> str:
    """No tag, code, link or end of a cell: what would start one is escaped."""
    escapes = {"&": "&amp;", "<": "&lt;", "|": r"\|", "`": r"\`", "[": r"\["}
    return "".join(escapes.get(c, c) for c in printable(text))


def latex_safe(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in printable(text))
