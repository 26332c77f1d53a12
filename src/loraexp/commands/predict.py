"""loraexp predict: label and probability of one text, of a file's texts, or of stdin's lines."""

import sys
from collections.abc import Iterator
from pathlib import Path

from loraexp.config.schemas import PredictConfig
from loraexp.errors import UserError
from loraexp.inference.inputs import begun, chunks
from loraexp.inference.writers import WRITERS, Counted, Prediction, pick_format
from loraexp.runtime.atomic import check_new, whole
from loraexp.runtime.escape import printable


def run(config: PredictConfig, sweep: Path | None) -> None:
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

    texts = begun(chunks(config))
    if config.run is None:
        several = Predictors(config.runs, config.batch_size)
        return several.names, several.stream(texts)
    single = Predictor(Path(config.run), config.batch_size).stream(texts)
    return [], ((text, [(label, chance)]) for text, label, chance in single)
