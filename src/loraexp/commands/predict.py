"""loraexp predict: label and probability of one text, of a file's texts, or of stdin's lines."""

import sys
from collections.abc import Iterator
from pathlib import Path

from loraexp.atomic import whole
from loraexp.data.texts import begun, chunks
from loraexp.errors import UserError
from loraexp.results.predictions import WRITERS, Prediction, counted, pick_format
from loraexp.schemas import PredictConfig


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
    from loraexp.training.predictors import Predictor, Predictors  # heavy: not at start

    texts = begun(chunks(config))
    if config.run is None:
        several = Predictors(config.runs, config.batch_size)
        return several.names, several.stream(texts)
    single = Predictor(Path(config.run), config.batch_size).stream(texts)
    return [], ((text, [(label, chance)]) for text, label, chance in single)
