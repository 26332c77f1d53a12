"""A report as one HTML page: no network, no foreign script, every text escaped."""

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loraexp.report.pages import MISTAKES, SCORES
from loraexp.report.report import Report
from loraexp.report.sections import KEPT
from loraexp.report.svg import STYLE, drawings
from loraexp.results.explained import explained
from loraexp.results.folded import folded
from loraexp.results.tables import Cell, Table
from loraexp.runtime.escape import printable

TEMPLATES = Path(__file__).parent
MOST_AT_ONCE = 12  # runs whose pages are laid out before they are opened


def to_html(report: Report) -> str:
    """The page; browsers are told to run its one script only, and to load nothing."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        script=script,
        script_hash=digest,
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8") + STYLE,
        lazy=len(report.pages.lines) > MOST_AT_ONCE,
        kept=KEPT,
        run_columns=[*SCORES, *MISTAKES],
        drawings=drawings,
        dict=dict,
        explained=explained,
        folded=folded,
        cells=cells,
        attributes=attributes,
        shares=shares,
        lines=lines,
    )


def shown(value: Any) -> Any:
    """Of every value that enters the page: no sign that turns, breaks or hides what is around it.
    Jinja escapes the tags."""
    return value if isinstance(value, Markup) else printable(str(value))


def lines(text: str) -> Markup:
    return Markup("\n").join(map(printable, text.split("\n")))


def cells(table: Table) -> list[list[tuple[str, str, bool]]]:
    """Of every row: (as shown, what it is sorted by, aligned left)."""
    return [
        [
            (text, sorted_by(cell), column.words)
            for text, cell, column in zip(texts, row, table.columns, strict=True)
        ]
        for texts, row in zip(table.text(), table.rows, strict=True)
    ]


def sorted_by(cell: Cell) -> str:
    """An interval goes by its lower end."""
    if isinstance(cell, tuple):
        cell = cell[0]
    return "" if cell is None else str(cell)


def attributes(text: str, value: str, words: bool) -> Markup:
    """Of a cell: how it stands, and what it is sorted by if that is not what it shows."""
    look = " ".join([*(["words"] if words else []), *(["long"] if len(text) > 40 else [])])
    made = Markup(' class="{}"').format(look) if look else Markup()
    if words and look:
        made += Markup(' dir="auto"')
    return made if value == text else made + Markup(' data-value="{}"').format(printable(value))


def shares(matrix: Table) -> list[list[str]]:
    """Of each row's texts, how many are in each cell, 0 to 1."""
    counts = [[int(str(cell)) for cell in row[1:]] for row in matrix.rows]
    return [[f"{cell / max(1, sum(row)):.2f}" for cell in row] for row in counts]
