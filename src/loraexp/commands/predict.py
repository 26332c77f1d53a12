"""loraexp predict: label and probability of one text, of a file's texts, or of stdin's lines."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loraexp.atomic import whole
from loraexp.data.files import read_chunks
from loraexp.errors import UserError
from loraexp.results.escape import printable, spreadsheet_safe
from loraexp.schemas import PredictConfig

CHUNK = 2048  # texts in memory at a time
Verdict = tuple[str, float]  # a label and its probability
Prediction = tuple[str, list[Verdict]]  # a text, and the verdict of each run
Writer = Callable[[Iterable[Prediction], list[str], TextIO], None]


def run(config: PredictConfig, sweep: Path | None) -> None:
    if bool(config.run) == bool(config.runs):
        raise UserError("predict takes run=FOLDER, or runs=[FOLDER,...] for several")
    if config.text is not None and config.file is not None:
        raise UserError("predict takes text= or file=, not both")
    if config.text is None and config.file is None and sys.stdin.isatty():
        raise UserError('predict needs text="...", file=FILE, or lines on stdin')
    if config.out and Path(config.out).is_dir():
        raise UserError(f"out={config.out} is a folder")
    out = Path(config.out) if config.out else None
    if out and config.file and out.resolve() == Path(config.file).resolve():
        raise UserError(f"out={config.out} is the file that is read: choose another")
    write = WRITERS[pick_format(config.format, out)]
    names, predictions = predict(config)
    if out is None:
        write(predictions if sys.stdout.isatty() else counted(predictions), names, sys.stdout)
        return
    with whole(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write(counted(predictions), names, file)
    print(f"Wrote {out}", file=sys.stderr)


def predict(config: PredictConfig) -> tuple[list[str], Iterator[Prediction]]:
    """The names of the runs, none if there is but one, and what they say of the texts."""
    texts = begun(chunks(config))
    if config.run is None:
        from loraexp.training.predictors import Predictors

        several = Predictors(config.runs, config.batch_size)
        return several.names, several.stream(texts)
    from loraexp.training.measure import Predictor

    single = Predictor(Path(config.run), config.batch_size).stream(texts)
    return [], ((text, [(label, chance)]) for text, label, chance in single)


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


def begun(chunks: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same, the first one read: what is wrong with it is said before a model is loaded."""
    first = list(islice(chunks, 1))
    return chain(first, chunks)


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


def write_table(predictions: Iterable[Prediction], names: list[str], out: TextIO) -> None:
    """Label and probability of each run, and as much of the text as fits the line."""
    width = Console().width
    for number, name in enumerate(names, start=1):
        out.write(f"{number}: {printable(name)}\n")
    for text, verdicts in predictions:
        found = "  ".join(f"{printable(label):<12} {chance:6.4f}" for label, chance in verdicts)
        line = f"{found}  {printable(text)}"
        out.write((line if len(line) <= width else line[: width - 1] + "…") + "\n")
        out.flush()


def write_csv(predictions: Iterable[Prediction], names: list[str], out: TextIO) -> None:
    """For spreadsheets: a text that would run as a formula is led by an apostrophe."""
    # Texts quoted: before Python 3.13 csv leaves a carriage return bare, which ends the row.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    suffixes = [f" ({spreadsheet_safe(name)})" for name in names] or [""]
    columns = [f"{kind}{suffix}" for suffix in suffixes for kind in ("label", "probability")]
    writer.writerow([*columns, "text"])
    for text, verdicts in predictions:
        cells = [cell for label, p in verdicts for cell in (spreadsheet_safe(label), round(p, 6))]
        writer.writerow([*cells, spreadsheet_safe(text)])


def write_json(predictions: Iterable[Prediction], names: list[str], out: TextIO) -> None:
    """JSON lines, the text as it was; of several runs, each under its name."""
    for text, verdicts in predictions:
        found = [{"label": label, "probability": round(p, 6)} for label, p in verdicts]
        own = {"runs": dict(zip(names, found, strict=True))} if names else found[0]
        row = {**own, "text": text}
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
