"""What a user's own file is called in names of runs and in tables: as itself, unless a name was
typed. Four files that are all called csv could not be told apart."""

import re
from dataclasses import replace
from pathlib import Path

from loraexp.config.rules import READS
from loraexp.config.schema import Data

READER = "csv"  # the option that reads them, and what all of them were called before
# Of a file that is called so, the folder says what it is.
PLAIN = {"all", "data", "dataset", "full", "test", "texts", "train"}
LONGEST = 40  # of a name, in characters


def is_own(data: Data) -> bool:
    """Are the texts of a user's own file? Every other set has a row in the table of data sets."""
    return data.name == READER or (data.path is not None and data.name not in READS)


def named(data: Data) -> Data:
    """The same with the name of its file, where it is a user's own and no name was typed."""
    if data.name != READER or not data.path:
        return data
    return replace(data, name=name_of(Path(data.path)))


def name_of(path: Path) -> str:
    """imdb of ~/sets/imdb.csv, of sets/imdb/train.csv and of the folder sets/imdb."""
    whole = path.absolute()
    stem = whole.name if whole.is_dir() else whole.stem
    if stem.lower() in PLAIN and not whole.is_dir():
        stem = whole.parent.name or stem
    word = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:LONGEST].rstrip("-.")
    return f"own-{word}" if word in READS and word != READER else word or READER
