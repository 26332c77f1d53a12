"""loraexp predict: label texts with a finished run."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.data.reading import Reading
from loraexp.errors import UserError
from loraexp.inference.inputs import Row, begun, chunks
from loraexp.inference.writers import WRITERS, Counted, Prediction, Shape, Verdict, pick_format
from loraexp.records.record_types import OUT_OF_SCOPE
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
    text_column: str | None = key(
        None, "column of the text in `file`; null: as in the run's own data, else text"
    )
    columns: list[str] = key([], "columns of `file` that go with their texts, e.g. [id,date]")
    top: int = key(1, "labels a text, the likeliest first", least=1)
    probabilities: str = one_of(
        "best", "best (those of these labels)", "all (those of all classes, a column each)"
    )
    refuse: bool = key(
        False, "say which texts are out of scope, of a run that knows (data.out_of_scope)"
    )
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
    shape, predictions = predict(config)
    if out is None:
        write(predictions if sys.stdout.isatty() else Counted(predictions), shape, sys.stdout)
        return
    counted = Counted(predictions)
    with whole(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write(counted, shape, file)
    print(f"Wrote {printable(str(out))}: {counted.number:,} texts", file=sys.stderr)


def at_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def predict(config: PredictConfig) -> tuple[Shape, Iterator[Prediction]]:
    """What the runs say of the texts, and what is to be written of it."""
    from loraexp.inference.predictor import Predictor, Predictors  # heavy: not at start

    columns = text_columns(config) if config.file is not None else []
    given = begun(chunks(config.text, config.file, columns, Reading.of(config), config.columns))
    runs = [config.run] if config.run else config.runs
    thresholds = [threshold(Path(run)) for run in runs] if config.refuse else []
    predictor: Predictor | Predictors = (
        Predictor(config.run, config.batch_size)
        if config.run
        else Predictors(config.runs, config.batch_size)
    )
    shape = Shape(
        labels=[model.labels for model in predictor.models],
        names=predictor.names if isinstance(predictor, Predictors) else (),
        top=config.top,
        every=config.probabilities == "all",
        carried=config.columns,
        thresholds=thresholds,
    )
    return shape, labelled(predictor.verdicts, given, shape)


def threshold(run: Path) -> float:
    """Below which of its largest probabilities a run refuses a text.

    Raises:
        UserError: a run that has none.
    """
    from loraexp.runs.run_folder import RunFolder

    folder = RunFolder(run)
    test = folder.record().metrics["test"] if folder.finished else {}
    if OUT_OF_SCOPE not in test:
        needed = "a run that was trained with data.out_of_scope: its record has the threshold"
        raise UserError(f"refuse=true needs {needed}; got run={run}")
    return float(test[OUT_OF_SCOPE]["threshold"])


def labelled(
    verdicts: Callable[[list[str], int], list[list[Verdict]]],
    given: Iterable[list[Row]],
    shape: Shape,
) -> Iterator[Prediction]:
    """A prediction for each text, a chunk in memory at a time."""
    for rows in given:
        texts = [text for text, *_ in rows]
        for (text, *cells), own in zip(rows, verdicts(texts, shape.asked), strict=True):
            yield Prediction(text, own, cells)


def text_columns(config: PredictConfig) -> list[str]:
    """Where the texts of `file` may stand: what was typed, else as in the data of the first run."""
    if config.text_column is not None:
        return [config.text_column]
    from loraexp.adapters.adapter_files import read_card  # torch: not at start
    from loraexp.runs.load import read_config
    from loraexp.runs.run_folder import RunFolder

    run = Path(config.run or config.runs[0])
    try:
        own = read_config(read_card(RunFolder(run).adapter), run).data.text_column
    except UserError:  # what is wrong with a run is said later, when it is loaded
        return ["text"]
    return [*dict.fromkeys([own, "text"])]
