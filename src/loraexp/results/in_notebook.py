"""A table of results for notebooks: as HTML, and as a pandas DataFrame."""

from typing import TYPE_CHECKING

from loraexp.runtime.notebook import html_table

if TYPE_CHECKING:
    import pandas as pd

    from loraexp.results.tables import Table


class InNotebook:
    """What Table has of it."""

    def _repr_html_(self: "Table") -> str:  # type: ignore[misc]
        shown = self.filled()
        headings, *rows = shown.shown()
        return html_table(rows, [column.words for column in shown.columns], headings)

    def to_frame(self: "Table") -> "pd.DataFrame":  # type: ignore[misc]
        """Columns under their names in files, cells in full; of an interval a column an end."""
        import pandas as pd  # not at start

        parted = self.parted()
        return pd.DataFrame([[*row] for row in parted.rows], columns=parted.header)
