"""loraexp predict: label and probability of one text, of a file's texts, or of stdin's lines."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loraexp.atomic import whole
from loraexp.config import PredictConfig
from loraexp.data.files import read_chunks
from loraexp.errors import UserError
from loraexp.results.tables import printable, spreadsheet_safe

CHUNK = 2048  # texts in memory at a time
Prediction = tuple[str, str, float]
Writer = Callable[[Iterable[Prediction], TextIO], None]


def run(config: PredictConfig, sweep: Path | None) -> None:
    if config.text is not None and config.file is not None:
        raise UserError("predict takes text= or file=, not both")
    if config.text is None and config.file is None and sys.stdin.isatty():
        raise UserError('predict needs text="...", file=FILE, or lines on stdin')
    if config.out and Path(config.out).is_dir():
        raise UserError(f"out={config.out} is a folder")
    from loraexp.training.measure import Predictor

    out = Path(config.out) if config.out else None
    write = WRITERS[pick_format(config.format, out)]
    predictions = Predictor(Path(config.run), config.batch_size).stream(chunks(config))
    if out is None:
        write(predictions, sys.stdout)
        return
    with whole(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write(counted(predictions), file)
    print(f"Wrote {out}", file=sys.stderr)


def chunks(config: PredictConfig) -> Iterator[list[str]]:
    if config.file is not None:
        for frame in read_chunks(Path(config.file), [config.text_column], CHUNK):
            yield list(frame[config.text_column])
        return
    try:
        for texts in stdin_lines() if config.text is None else [[config.text]]:
            "".join(texts).encode("utf-8")  # fails where Python let other bytes pass
            yield texts
    except UnicodeError:
        raise UserError(f"{'stdin' if config.text is None else 'text'} is not UTF-8") from None


def stdin_lines() -> Iterator[list[str]]:
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    # A person or a program that waits for the answer gets it line by line.
    while some := list(islice(lines, 1 if sys.stdout.isatty() else CHUNK)):
        yield some


def pick_format(wanted: str, out: Path | None) -> str:
    if wanted != "auto":
        return wanted
    if out is not None:
        return "json" if out.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"
    return "table" if sys.stdout.isatty() else "csv"


def write_table(predictions: Iterable[Prediction], out: TextIO) -> None:
    """Label, probability, and as much of the text as fits the line."""
    width = Console().width
    for text, label, chance in predictions:
        line = f"{printable(label):<12} {chance:6.4f}  {printable(text)}"
        out.write((line if len(line) <= width else line[: width - 1] + "…") + "\n")
        out.flush()


def write_csv(predictions: Iterable[Prediction], out: TextIO) -> None:
    """For spreadsheets: a text that would run as a formula is led by an apostrophe."""
    # Texts quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["label", "probability", "text"])
    for text, label, chance in predictions:
        writer.writerow([spreadsheet_safe(label), round(chance, 6), spreadsheet_safe(text)])


def write_json(predictions: Iterable[Prediction], out: TextIO) -> None:
    """JSON lines, the text as it was."""
    for text, label, chance in predictions:
        row = {"label": label, "probability": round(chance, 6), "text": text}
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


WRITERS: dict[str, Writer] = {"table": write_table, "csv": write_csv, "json": write_json}


def counted(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Pass on, with a count of texts on a terminal's stderr."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} texts"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        for prediction in predictions:
            yield prediction
            progress.advance(task)
