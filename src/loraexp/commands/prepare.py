"""loraexp prepare: a data set's three splits as CSV, to look at or to train on elsewhere."""

import csv
import io
import sys
from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.data.files import SPLITS
from loraexp.schemas import PrepareConfig


def run(config: PrepareConfig, sweep: Path | None) -> None:
    from loraexp.data.splits import load_data

    data = load_data(config.data)
    print(f"{config.data.name}: {data.note}")
    print(data.classes())
    for warning in data.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    for name in SPLITS:
        split, file = data[name], Path(config.out) / f"{name}.csv"
        text = io.StringIO()
        # Exactly the texts, for programs: no cell is changed for a spreadsheet's sake.
        # All quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(["text", "label"])
        writer.writerows(
            (words, data.labels[index])
            for words, index in zip(split.texts, split.classes, strict=True)
        )
        write_whole(file, text.getvalue())
        print(f"{len(split):>7,} texts in {file}")
