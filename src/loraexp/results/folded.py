"""A table for a page: what is alike in all rows stands once above it, what is empty nowhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loraexp.results.tables import Column, Table


@dataclass(frozen=True)
class Folded:
    """
    Args:
        alike: column and shown cell of what is the same in every row.
        table: the other columns.
    """

    alike: Sequence[tuple[Column, str]]
    table: Table

    @property
    def columns(self) -> list[Column]:
        """All that are shown, above the table and in it."""
        return [*(column for column, _ in self.alike), *self.table.columns]


def folded(table: Table, keep: Collection[str] = ()) -> Folded:
    """Of two rows or more; columns of `keep` stay in the table unless they are empty."""
    alike, kept, table = [], [], table.filled()
    for at, column in enumerate(table.columns):
        cells = [row[at] for row in table.rows]
        if len(cells) > 1 and len({*map(repr, cells)}) == 1 and column.name not in keep:
            alike.append((column, column.show(cells[0])))
        else:
            kept.append(column.name)
    return Folded(alike, table.only(kept))
