"""Tables as data: typed cells in, text for a terminal, CSV, Markdown, LaTeX or JSON out."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loraexp.results.in_notebook import InNotebook
from loraexp.runtime.escape import latex_safe, markdown_safe, printable, spreadsheet_safe

Ends = tuple[float, float]  # of an interval, shares of 1
Cell = str | int | float | Ends | None


def as_is(cell: Cell) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)


@dataclass(frozen=True)
class Column:
    """A column: its name in files, its heading on a terminal, and how a cell reads."""

    name: str
    heading: str
    show: Callable[[Any], str] = as_is
    words: bool = False  # text, aligned left
    ends: bool = False  # an interval: its ends are two columns in CSV and JSON

    def parts(self, cell: Cell) -> Sequence[Cell]:
        """The cells that it is in CSV and JSON."""
        if not self.ends:
            return [cell]
        return cell if isinstance(cell, tuple) else (None, None)


@dataclass(frozen=True)
class Table(InNotebook):
    """Columns and rows; cells keep their full value and are rounded only when shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    @property
    def header(self) -> list[str]:
        return [column.name for column in self.columns]

    def without(self, name: str) -> "Table":
        """The same rows without one column, if it is there."""
        return self.only([column for column in self.header if column != name])

    def only(self, names: Sequence[str]) -> "Table":
        """The same rows with the named columns."""
        kept = [i for i, column in enumerate(self.columns) if column.name in names]
        rows = [[row[i] for i in kept] for row in self.rows]
        return Table([self.columns[i] for i in kept], rows)

    def filled(self) -> "Table":
        """The same rows without columns that are empty in all of them."""
        cells = zip(self.header, *self.rows, strict=True)
        return self.only([name for name, *own in cells if not own or {*own} - {None, ""}])

    def parted(self) -> "Table":
        """The same rows with the ends of intervals in columns of their own, NAME_low and _high."""
        columns = [
            Column(f"{c.name}{end}", c.heading)
            for c in self.columns
            for end in (("_low", "_high") if c.ends else ("",))
        ]
        rows = [
            [part for c, cell in zip(self.columns, row, strict=True) for part in c.parts(cell)]
            for row in self.rows
        ]
        return Table(columns, rows)

    def text(self) -> list[list[str]]:
        """The cells as shown."""
        return [
            [
                "" if cell is None else c.show(cell)
                for c, cell in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]

    def shown(self) -> list[list[str]]:
        """The headings, and the cells as shown."""
        return [[column.heading for column in self.columns], *self.text()]


def to_terminal(table: Table, width: int | None = None) -> str:
    """Aligned columns, none of them empty; control characters are shown escaped."""
    table = table.filled()
    grid = RichTable(box=None, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True)
    for column in table.columns:
        align: Literal["left", "right"] = "left" if column.words else "right"
        grid.add_column(Text(printable(column.heading)), justify=align, overflow="fold")
    for row in table.text():
        grid.add_row(*(Text(printable(cell)) for cell in row))
    size = width or Console().width  # in a notebook rich would write to the cell, not to the file
    console = Console(file=io.StringIO(), width=size, color_system=None, force_jupyter=False)
    console.print(grid)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines)


def narrowed(table: Table, expendable: Sequence[str], width: int | None = None) -> Table:
    """The table without as many of the `expendable` columns, first ones first, as a terminal's
    line has no room for. Files have all."""
    room = width or Console().width
    for name in expendable:
        columns = zip(*table.shown(), strict=True)
        needed = sum(max(map(len, column)) + 1 for column in columns) - 1
        if needed <= room:
            break
        table = table.without(name)
    return table


def to_csv(table: Table) -> str:
    table, out = table.parted(), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    # Escaped: before Python 3.13 csv leaves a carriage return bare, and what follows is a new row.
    for row in (table.header, *table.rows):
        cells = (printable(cell) if isinstance(cell, str) else cell for cell in row)
        writer.writerow([spreadsheet_safe(cell) for cell in cells])
    return out.getvalue().rstrip("\n")


def to_markdown(table: Table) -> str:
    rule = [":--" if column.words else "--:" for column in table.columns]
    safe = [[*map(markdown_safe, row)] for row in table.shown()]
    safe.insert(1, rule)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in safe)


def to_latex(table: Table) -> str:
    align = "".join("l" if column.words else "r" for column in table.columns)
    rows = [" & ".join(map(latex_safe, row)) + r" \\" for row in table.shown()]
    rows.insert(1, r"\hline")
    return "\n".join([rf"\begin{{tabular}}{{{align}}}", *rows, r"\end{tabular}"])


def to_json(table: Table) -> str:
    table = table.parted()
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    return json.dumps(rows, indent=2).replace("\x7f", "\\u007f")  # the one that json leaves


FORMATS: dict[str, Callable[[Table], str]] = {
    "table": to_terminal,
    "csv": to_csv,
    "markdown": to_markdown,
    "latex": to_latex,
    "json": to_json,
}


def ends(interval: Ends) -> str:
    low, high = interval
    return f"{100 * low:.1f}-{100 * high:.1f}"


def percent(digits: int) -> Callable[[float], str]:
    return lambda share: f"{100 * share:.{digits}f}"


def size(bytes: int) -> str:
    """4,096 bytes are 4.1 kB: decimal units, as disks and networks count."""
    if bytes < 1000:
        return f"{bytes} B"
    amount = bytes / 1000
    for unit in ("kB", "MB"):
        if round(amount, 1) < 1000:  # 999,999 bytes are 1.0 MB, not 1000.0 kB
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
