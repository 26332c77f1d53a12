"""loraexp prepare: write a data set's train.csv, validation.csv and test.csv."""

import csv
import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key
from loraexp.config.schema import Data
from loraexp.data.split_files import split_files
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS
from loraexp.runtime.atomic import check_new, write_whole
from loraexp.runtime.escape import printable


@dataclass
class PrepareConfig:
    """loraexp prepare"""

    data: Data = key(Data(), "")
    out: str = key(
        "outputs/data", "folder for train.csv, validation.csv, test.csv", path=True, text=True
    )


def run(config: PrepareConfig) -> None:
    from loraexp.data.splits import load_data

    data, out = load_data(config.data), Path(config.out)
    print(f"{config.data.name}: {printable(data.note)}")
    print(printable(data.classes()))
    for warning in data.warnings():
        print(f"warning: {printable(warning)}", file=sys.stderr)
    rows = {name: [*data.rows(name)] for name in SPLITS}
    # Under their label: who reads the folder sets them aside by data.out_of_scope again.
    rows["test"] += [(text, str(config.data.out_of_scope)) for text in data.out_of_scope]
    texts = {out / f"{name}.csv": as_csv(rows[name]) for name in SPLITS}
    # All of it is checked before any of it is written.
    new = [file for file, text in texts.items() if check_new(file, "out", text)]
    check_alone(out, texts)
    for name, (file, text) in zip(SPLITS, texts.items(), strict=True):
        if file in new:
            write_whole(file, text)
        same = "" if file in new else ", which was there already"
        print(f"{len(rows[name]):>7,} texts in {printable(str(file))}{same}")


def as_csv(rows: Iterable[tuple[str, str]]) -> str:
    """Exactly the texts, for programs: no cell is changed for a spreadsheet's sake."""
    text = io.StringIO()
    # All quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    return text.getvalue()


def check_alone(out: Path, files: Iterable[Path]) -> None:
    """
    Raises:
        UserError: a file that would be read as one of the splits beside ours.
    """
    there = split_files(out)[0] if out.is_dir() else {}
    if others := [path for paths in there.values() for path in paths if path not in files]:
        raise UserError(f"out: {others[0]} would be read for a split, too; choose another folder")
