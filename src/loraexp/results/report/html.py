"""A report as one HTML page: no network, no foreign script, every text escaped."""

import base64
import io
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from loraexp.results.report.plots import as_svg, drawing
from loraexp.results.report.report import CAPTIONS, Report
from loraexp.results.tables import Cell, Table
from loraexp.runtime.escape import printable

TEMPLATES = Path(__file__).parent


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
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        captions=CAPTIONS,
        picture=data_uri,
        thumbnail=thumbnail,
        cells=cells,
        lines=lines,
    )


def shown(value: Any) -> Any:
    """Of every value that enters the page: no sign that turns, breaks or hides what is around it.
    Jinja escapes the tags."""
    return value if isinstance(value, Markup) else printable(str(value))


def lines(text: str) -> Markup:
    return Markup("\n").join(map(printable, text.split("\n")))


def data_uri(figure: Figure) -> str:
    """A figure as SVG inside the page."""
    return "data:image/svg+xml;base64," + base64.b64encode(as_svg(figure).encode()).decode()


@drawing()
def thumbnail(figure: Figure) -> str:
    """A run's curves, of which a report has hundreds: a fifth of the size and time of an SVG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=80)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


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
