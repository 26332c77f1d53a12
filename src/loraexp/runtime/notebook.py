"""What a notebook shows: tables as HTML in which no text of strangers is markup, and a panel that
is drawn anew in its place. Nothing of Jupyter is needed, or imported where there is none."""

import sys
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from loraexp.runtime.escape import printable


def in_notebook() -> bool:
    """Is this a kernel, whose cells show HTML? A terminal's IPython is none."""
    module: Any = sys.modules.get("IPython")
    shell = module and module.get_ipython()
    return hasattr(shell, "kernel")


def safe(text: str) -> str:
    """A text as HTML has it."""
    return escape(printable(text))


def html_table(
    rows: Sequence[Sequence[str]], words: Sequence[bool], headings: Sequence[str] = ()
) -> str:
    """
    Args:
        rows: of texts, that are escaped here.
        words: a column each: is it text, aligned left?
        headings: without any, the first column has the names of the rows.
    """
    align = [f"text-align:{'left' if word else 'right'}" for word in words]
    if not headings:
        align[0] += ";white-space:nowrap"  # Jupyter would break a name that has two words

    def row(cells: Sequence[str], tag: str) -> str:
        styled = zip(align, cells, strict=True)
        parts = (f'<{tag} style="{style}">{safe(cell)}</{tag}>' for style, cell in styled)
        return f"<tr>{''.join(parts)}</tr>"

    head = f"<thead>{row(headings, 'th')}</thead>" if headings else ""
    return f"<table>{head}<tbody>{''.join(row(cells, 'td') for cells in rows)}</tbody></table>"


def html_notes(lines: Sequence[str]) -> str:
    """A line each; those that we lead with a dash are a list."""
    parts = []
    for listed, group in groupby(filter(None, lines), lambda line: line.startswith("- ")):
        if listed:
            items = "".join(f"<li>{safe(line.removeprefix('- '))}</li>" for line in group)
            parts.append(f"<ul>{items}</ul>")
        else:
            parts += [f"<div>{safe(line)}</div>" for line in group]
    return "".join(parts)


class Panel:
    """A place in a cell's output whose content changes."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, html: str, text: str) -> None:
        """
        Args:
            text: the same for a notebook that shows no HTML.
        """
        from IPython.display import display  # only where in_notebook()

        bundle = {"text/html": html, "text/plain": text}
        if self.handle is None:
            self.handle = display(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)

    def clear(self) -> None:
        if self.handle is not None:
            self.show("", "")
