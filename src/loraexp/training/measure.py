"""A finished run's metrics, measured again."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from loraexp.config.schema import TrainConfig
from loraexp.data.splits import Split, TextData, load_data, load_whole
from loraexp.errors import UserError
from loraexp.results.notes import of_label
from loraexp.runs.load import LoadedModel, load_run, own_data
from loraexp.training.classifier_module import ClassifierModule
from loraexp.training.evaluate import Evaluation, evaluate
from loraexp.training.fit import build_trainer, datamodule
from loraexp.training.lightning_environment import quiet

log = logging.getLogger("loraexp")


def measure_again(
    run: Path, split: str, choose: Callable[[TrainConfig], TrainConfig]
) -> dict[str, Any]:
    """The metrics of one split; on the run's own data they equal its record's, to the digit.

    Args:
        split: one of SPLITS, or "all": every text, none split off.
        choose: the run's config -> the config whose data is measured.

    Raises:
        UserError: a run that cannot be restored, own data that are others now, or data with labels
            it was not trained on.
    """
    model = load_run(run)
    config = choose(model.config)
    if config is model.config:
        return Evaluator(model, own_data(run, config)).measure(split).metrics
    # How texts become tokens belongs to the run, not to the data it is measured on.
    read = {key: getattr(model.config.data, key) for key in ("max_length", "pad_to", "strip")}
    config = replace(config, data=replace(config.data, **read))
    positive = config.data.positive_label
    if len(model.labels) == 2 and positive not in (None, model.labels[1]):
        raise UserError(
            f"data.positive_label={positive}: to the run the positive label is {model.labels[1]!r}"
        )
    load, name = (load_whole, "test") if split == "all" else (load_data, split)
    data = relabelled(load(config.data), model.labels)
    log.info(f"F1, precision, recall are {of_label(model.labels)}")
    if told := data.absent(name):
        log.warning(f"warning: {told}")
    return Evaluator(model, data, config).measure(name).metrics


class Evaluator:
    """Measures splits of `data` with a loaded network, in one process."""

    def __init__(
        self, model: LoadedModel, data: TextData, config: TrainConfig | None = None
    ) -> None:
        config = config or model.config  # with other data than the run's own
        config = replace(config, trainer=replace(config.trainer, devices=1))
        self.texts = datamodule(config, relabelled(data, model.labels), model)
        self.module = ClassifierModule(model.network, config, len(model.labels))
        with quiet():
            self.trainer = build_trainer(config, self.texts, [], [])

    def measure(self, split: str) -> Evaluation:
        with quiet():
            return evaluate(self.trainer, self.module, self.texts, split)


def relabelled(data: TextData, labels: tuple[str, ...]) -> TextData:
    """The same texts with classes numbered as the run numbers them."""
    unknown = [label for label in data.labels if label not in labels]
    if unknown:
        raise UserError(f"the run has no label {unknown[0]!r}; it knows {', '.join(labels)}")
    number = [labels.index(label) for label in data.labels]

    def renumber(split: Split) -> Split:
        return Split(split.texts, [number[index] for index in split.classes])

    return replace(
        data,
        labels=labels,
        train=renumber(data.train),
        validation=renumber(data.validation),
        test=renumber(data.test),
    )
