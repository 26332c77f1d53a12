"""How a file of texts is to be read: quotes, separator, encoding and header, as the keys say."""

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol, TextIO

from loraexp.config.schema import Data
from loraexp.errors import UserError, cut

SEPARATED = (".csv", ".tsv")
# What leaves a file as it is that has no quotes, separators, header or encoding of its own: JSON
# quotes, too, and Parquet is UTF-8.
NEUTRAL = {
    "quoting": ("auto", "double"),
    "delimiter": ("auto",),
    "header": (True,),
    "encoding": ("utf-8",),
}


class Keys(Protocol):
    """Of `data`, and of predict."""

    quoting: str
    delimiter: str
    encoding: str
    header: bool


@dataclass(frozen=True)
class Reading:
    """The keys of that name, of `data` or of predict.

    Args:
        prefix: what the user types before a key.
    """

    quoting: str = "auto"
    delimiter: str = "auto"
    encoding: str = "utf-8"
    header: bool = True
    prefix: str = "data."

    @classmethod
    def of(cls, config: Keys) -> "Reading":
        """
        Raises:
            UserError: no text codec of Python's, no delimiter.
        """
        prefix = "data." if isinstance(config, Data) else ""
        try:
            "".encode(config.encoding)  # fails for codecs that are not of text
            encoding = codecs.lookup(config.encoding).name
        except (LookupError, ValueError):
            raise UserError(
                f"{prefix}encoding must be one that Python knows, e.g. utf-8, latin-1, cp1252, "
                f"utf-16; got {cut(config.encoding)!r}"
            ) from None
        mark = config.delimiter
        if mark not in ("auto", "tab") and (len(mark) != 1 or mark in '"\r\n'):
            raise UserError(
                f"{prefix}delimiter must be auto, tab or one character, got {cut(mark)!r}"
            )
        encoding = encoding.removesuffix("-sig")  # a byte order mark is dropped anyway
        return cls(config.quoting, mark, encoding, config.header, prefix)

    def check(self, kind: str, what: object) -> None:
        """
        Raises:
            UserError: a key that files of this kind would leave aside unsaid.
        """
        heeded = ("encoding",) if kind in (".jsonl", ".ndjson", ".txt") else ()
        for key, neutral in NEUTRAL.items():
            value = getattr(self, key)
            if kind not in SEPARATED and key not in heeded and value not in neutral:
                shown = str(value).lower() if isinstance(value, bool) else value
                raise UserError(f"{self.prefix}{key}={shown} says nothing of {what}: leave it out")

    def separator(self, path: Path) -> str:
        named = {"auto": "\t" if path.suffix.lower() == ".tsv" else ",", "tab": "\t"}
        return named.get(self.delimiter, self.delimiter)

    def quotes(self, path: Path) -> bool:
        """Whether a " begins and ends a cell; in TSV it is a character unless it is said."""
        return self.quoting == "double" or (
            self.quoting == "auto" and path.suffix.lower() != ".tsv"
        )

    def table(self, file: TextIO, path: Path) -> tuple[list[str], Iterator[list[str]]]:
        """The columns' names, or numbers if there is no header, and the rows of cells."""
        # Python's own reader: pandas drops a row's surplus cells unsaid where columns are chosen,
        # so a text with a bare comma would lose its tail and its label.
        csv.field_size_limit(2**31 - 1)  # a text may be longer than csv's 131,072 characters
        rows = csv.reader(
            file,
            delimiter=self.separator(path),
            quoting=csv.QUOTE_MINIMAL if self.quotes(path) else csv.QUOTE_NONE,
            strict=True,
        )
        if self.header:
            return next(filter(None, rows), []), rows
        blank: list[list[str]] = []
        for cells in rows:
            if cells:
                names = [str(number + 1) for number in range(len(cells))]
                return names, chain(blank, [cells], rows)
            blank.append(cells)
        return ["1"], iter(blank)

    def about_quotes(self, path: Path) -> str:
        """What may be the matter with a row of too many or too few cells."""
        if self.quotes(path):
            return "a text with a separator in it needs quotes around it"
        return f"{self.prefix}quoting=double if texts stand in quotes"

    def hint(self, header: list[str], columns: list[str]) -> str:
        """What may be the matter with a header that lacks one of the columns."""
        if not self.header:
            return f" ({self.prefix}header=false numbers the columns)"
        if any(f'"{column}"' in header for column in columns):
            return f"; {self.prefix}quoting=double takes the quotes off"
        if mark := next((c for c in ";\t|," if len(header) == 1 and c in header[0]), None):
            return f"; is the delimiter {mark!r}? {self.prefix}delimiter says which"
        return f"; no header? {self.prefix}header=false"

    @contextmanager
    def opened(self, path: Path, newline: str | None = None) -> Iterator[TextIO]:
        """The file as text, without a byte order mark."""
        with path.open(encoding=self.encoding, newline=newline) as file:
            if file.read(1) != "\ufeff":
                file.seek(0)
            yield file

    def undecodable(self, path: Path) -> str:
        """The error for a file that is not in this encoding, with the place where that shows."""
        where = str(path)
        with path.open("rb") as lines:
            start = lines.read(2)
            lines.seek(0)
            # Of UTF-16 and UTF-32 bytes make no lines.
            for number, line in enumerate(lines if "\n".encode(self.encoding) == b"\n" else (), 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    where = f"{path}, line {number}, byte {error.start + 1}"
                    break
        other = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "cp1252"
        return f"{where}: {self.is_not(other)}"

    def is_not(self, other: str = "cp1252") -> str:
        named = self.encoding.upper() if self.encoding.startswith("utf") else self.encoding
        return f"not {named}; {self.prefix}encoding=NAME says what it is, e.g. {other}"
