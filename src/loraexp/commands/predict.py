"""loraexp predict: label texts with a finished run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.data.reading import Reading
from loraexp.errors import UserError
from loraexp.inference.inputs import begun, chunks
from loraexp.inference.writers import WRITERS, Counted, Prediction, pick_format
from loraexp.runtime.atomic import check_new, whole
from loraexp.runtime.escape import printable


@dataclass
class PredictConfig:
    """loraexp predict"""

    run: str | None = key(None, "folder of a finished run", path=True, text=True)
    runs: list[str] = key(
        [], "folders of several runs on one base: each labels every text", path=True
    )
    text: str | None = key(None, "one text", text=True)
    file: str | None = key(
        None, "CSV, TSV, JSONL, Parquet, or plain text with a text a line", path=True, text=True
    )
    out: str | None = key(None, "write here instead of to the terminal", path=True, text=True)
    text_column: str = key("text", "column of the text in `file`")
    quoting: str = key(
        "auto",
        'auto (" quotes a cell in CSV, is a character in TSV) | double | none',
        choices=("auto", "double", "none"),
    )
    delimiter: str = key("auto", "auto (, in CSV, tab in TSV) | tab | any one character")
    encoding: str = key("utf-8", "of `file` and stdin, e.g. utf-8, latin-1, cp1252, utf-16")
    header: bool = key(True, "the first row names the columns; false: columns are 1, 2, ...")
    guard: bool = key(
        True, "in CSV, an apostrophe before what a spreadsheet would run, or before an apostrophe"
    )
    format: str = one_of("auto", "auto", "table", "csv", "json")
    batch_size: int = key(32, "texts a batch", least=1)


def run(config: PredictConfig) -> None:
    if bool(config.run) == bool(config.runs):
        raise UserError("predict takes run=FOLDER, or runs=[FOLDER,...] for several")
    if config.text is not None and config.file is not None:
        raise UserError("predict takes text= or file=, not both")
    if config.text is None and config.file is None and at_terminal():
        raise UserError('predict needs text="...", file=FILE, or lines on stdin')
    out = Path(config.out) if config.out else None
    if out:
        check_new(out, "out")
    kind = pick_format(config.format, out)
    write = WRITERS[kind if config.guard or kind != "csv" else "unguarded csv"]
    names, predictions = predict(config)
    if out is None:
        write(predictions if sys.stdout.isatty() else Counted(predictions), names, sys.stdout)
        return
    counted = Counted(predictions)
    with whole(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write(counted, names, file)
    print(f"Wrote {printable(str(out))}: {counted.number:,} texts", file=sys.stderr)


def at_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def predict(config: PredictConfig) -> tuple[list[str], Iterator[Prediction]]:
    """The names of the runs, none if there is but one, and what they say of the texts."""
    from loraexp.inference.predictor import Predictor, Predictors  # heavy: not at start

    texts = begun(chunks(config.text, config.file, config.text_column, Reading.of(config)))
    if config.run is None:
        several = Predictors(config.runs, config.batch_size)
        return several.names, several.stream(texts)
    single = Predictor(Path(config.run), config.batch_size).stream(texts)
    return [], ((text, [(label, chance)]) for text, label, chance in single)
