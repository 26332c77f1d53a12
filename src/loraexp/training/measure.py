"""A finished run's metrics, measured again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loraexp.config.schema import TrainConfig
from loraexp.data.splits import Split, TextData, load_data, load_whole
from loraexp.errors import UserError
from loraexp.results.notes import of_label
from loraexp.runs.load import Assembled, own_data, restore
from loraexp.training.classifier_module import FineTuning
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
    trained, made = restore(run)
    config = choose(trained)
    if config is trained:
        return measured(config, made, own_data(run, config), [split])[split].metrics
    # How texts become tokens belongs to the run, not to the data it is measured on.
    read = {key: getattr(trained.data, key) for key in ("max_length", "pad_to", "strip")}
    config = replace(config, data=replace(config.data, **read))
    positive = config.data.positive_label
    if len(made.labels) == 2 and positive not in (None, made.labels[1]):
        raise UserError(
            f"data.positive_label={positive}: to the run the positive label is {made.labels[1]!r}"
        )
    load, name = (load_whole, "test") if split == "all" else (load_data, split)
    data = relabelled(load(config.data), made.labels)
    log.info(f"F1, precision, recall are {of_label(made.labels)}")
    if told := data.absent(name):
        log.warning(f"warning: {told}")
    return measured(config, made, data, [name])[name].metrics


def measured(
    config: TrainConfig, made: Assembled, data: TextData, splits: Sequence[str]
) -> dict[str, Evaluation]:
    """Splits of `data` measured with a restored network, in one process."""
    config = replace(config, trainer=replace(config.trainer, devices=1))
    texts = datamodule(config, relabelled(data, made.labels), made)
    module = FineTuning(made.network, config, len(made.labels))
    with quiet():
        trainer = build_trainer(config, texts, [], [])
        return {split: evaluate(trainer, module, texts, split) for split in splits}


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
