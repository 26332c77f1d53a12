"""Splits measured: while a run ends, and of a finished run again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loraexp.adapters.adapter_files import read_card
from loraexp.config.schema import Data, TrainConfig
from loraexp.data.splits import Split, TextData, load_data, load_whole
from loraexp.errors import UserError
from loraexp.records.record_types import OUT_OF_SCOPE, SPLITS
from loraexp.results.notes import of_label
from loraexp.runs.load import LoadedModel, load_run, own_data
from loraexp.runs.run_folder import RunFolder
from loraexp.stats.refusals import refusals, threshold_of
from loraexp.training.callbacks.prefix_cache import frozen_share
from loraexp.training.classifier_module import ClassifierModule
from loraexp.training.fit import Fitted, build_trainer, datamodule
from loraexp.training.lightning_environment import quiet, threads_as
from loraexp.training.train_sample import train_sample

log = logging.getLogger("loraexp")
MISTAKES = 20  # kept in a record


@dataclass(frozen=True)
class Evaluation:
    """Metrics of N texts and the probabilities they were computed from.

    Args:
        metrics: as `ClassifierModule.summary` gives them.
        places: which texts of the split were measured, ascending: all N unless batches are limited.
        true: their classes.
        probabilities: (N, C), float32.
    """

    metrics: dict[str, Any]
    places: list[int]
    true: list[int]
    probabilities: Tensor

    def predictions(self) -> dict[str, list[int]]:
        return {"true": self.true, "predicted": self.probabilities.argmax(-1).tolist()}

    def sure(self) -> list[float]:
        """(N,) the largest of each text's probabilities."""
        return self.probabilities.amax(-1).tolist()

    def refusing(self, threshold: float, outside: "Evaluation") -> "Evaluation":
        """With what is refused of these texts, and of those of no class."""
        said = self.predictions()
        right = [a == b for a, b in zip(said["true"], said["predicted"], strict=True)]
        found = refusals(threshold, self.sure(), right, outside.sure())
        return replace(self, metrics={**self.metrics, OUT_OF_SCOPE: found})

    def mistakes(self, texts: Sequence[str], most: int = MISTAKES) -> list[dict[str, Any]]:
        """The wrong texts of the split `texts`, the most confident first."""
        best = self.probabilities.max(-1)
        rows = zip(self.places, self.true, best.indices.tolist(), best.values.tolist(), strict=True)
        wrong = [
            {"text": texts[place], "true": true, "predicted": predicted, "chance": probability}
            for place, true, predicted, probability in rows
            if true != predicted
        ]
        return sorted(wrong, key=lambda mistake: -mistake["chance"])[:most]


def evaluate(setup: "Fitted | Evaluator", split: str) -> Evaluation:
    """Measure one split, of the train split what `train_sample` says; under DDP every process gets
    the whole.

    Raises:
        UserError: logits that are NaN or infinite.
    """
    trainer, module, texts = setup.trainer, setup.module, setup.texts
    sample = None
    if split == "train":
        sample = train_sample(module.config, texts.data, frozen_share(module))
    loader = texts.loader(split, only=sample)
    module.measuring = split
    trainer.test(module, loader, verbose=False)
    metrics = module.summary()
    assert loader.batch_sampler is not None
    # Batches come in the sampler's order; with limited batches the last ones were not measured.
    order = [place for batch in loader.batch_sampler for place in batch]
    order = [sample[at] for at in order] if sample else order
    probabilities = dict(zip(order, torch.cat(module.tested), strict=False))
    if trainer.world_size > 1:
        parts: list[dict[int, Tensor]] = [{} for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(parts, probabilities)
        probabilities = {place: p for part in parts for place, p in part.items()}
    places = sorted(probabilities)
    true = [int(texts.split(split).classes[place]) for place in places]
    return Evaluation(
        metrics, places, true, torch.stack([probabilities[place] for place in places])
    )


def evaluate_all(setup: Fitted) -> dict[str, Evaluation]:
    """Every split, that of test with the texts of no class, if there are any."""
    found = {name: evaluate(setup, name) for name in SPLITS}
    if setup.texts.data.out_of_scope:
        threshold = threshold_of(found["validation"].sure())
        found["test"] = found["test"].refusing(threshold, evaluate(setup, OUT_OF_SCOPE))
    return found


def measure_again(
    run: Path, split: str, data: Data | None = None, whole: bool = False
) -> dict[str, Any]:
    """The metrics of one split; on the run's own data they equal its record's, to the digit, or of
    one that was made in a pack to rounding.

    Args:
        split: one of SPLITS, or "all": every text, none split off.
        data: other than the run's own, measured whole.
        whole: all train texts, not those alone that the record's metrics are of.

    Raises:
        UserError: a run that cannot be restored, own data that are others now, or data with labels
            it was not trained on.
    """
    model = load_run(run)
    if whole or data is not None:
        trainer = replace(model.config.trainer, train_metrics="all")
        model = replace(model, config=replace(model.config, trainer=trainer))
    if data is None:
        record = RunFolder(run).record() if RunFolder(run).finished else None
        with threads_as(record, model.config.trainer):
            return Evaluator(model, own_data(run, model.config)).measure(split).metrics
    # How texts become tokens belongs to the run, not to the data it is measured on.
    reading = ("max_length", "truncation", "pad_to", "strip")
    read = {key: getattr(model.config.data, key) for key in reading}
    config = replace(model.config, data=replace(data, **read))
    positive = data.positive_label
    if len(model.labels) == 2 and positive not in (None, model.labels[1]):
        raise UserError(
            f"data.positive_label={positive}: to the run the positive label is {model.labels[1]!r}"
        )
    load, name = (load_whole, "test") if split == "all" else (load_data, split)
    texts = load(config.data)
    if split == "all":
        log.info(f"{config.data.name}: {texts.note}")
        if read_card(RunFolder(run).adapter)["data_sha256"] == texts.source_sha256:
            log.warning("warning: it is what the run learnt from: split=test has what it has not")
    threshold = None
    if texts.out_of_scope:  # other validation texts would make another threshold
        threshold = Evaluator(model, own_data(run, model.config)).threshold
    evaluator = Evaluator(model, texts, config, threshold)
    log.info(f"F1, precision, recall are {of_label(model.labels)}")
    if absent := evaluator.texts.data.absent(name):
        log.warning(f"warning: {absent}")
    return evaluator.measure(name).metrics


class Evaluator:
    """Measures splits of `data` with a loaded network, in one process.

    Args:
        config: with other data than the run's own.
        threshold: of the probability below which a text is refused; None: by these data.
    """

    def __init__(
        self,
        model: LoadedModel,
        data: TextData,
        config: TrainConfig | None = None,
        threshold: float | None = None,
    ) -> None:
        config = config or model.config
        config = replace(config, trainer=replace(config.trainer, devices=1))
        self.texts = datamodule(config, relabelled(data, model.labels), model)
        self.module = ClassifierModule(model.network, config, len(model.labels))
        with quiet():
            self.trainer = build_trainer(config, self.texts, [], [])
        self.given = threshold

    @cached_property
    def threshold(self) -> float:
        if self.given is not None:
            return self.given
        with quiet():
            return threshold_of(evaluate(self, "validation").sure())

    def measure(self, split: str) -> Evaluation:
        with quiet():
            found = evaluate(self, split)
            if split == "test" and self.texts.data.out_of_scope:
                found = found.refusing(self.threshold, evaluate(self, OUT_OF_SCOPE))
        return found


def relabelled(data: TextData, labels: tuple[str, ...]) -> TextData:
    """The same texts with classes numbered as the run numbers them."""
    unknown = [label for label in data.labels if label not in labels]
    if unknown:
        raise UserError(
            f"the run has no label {unknown[0]!r}; it knows {', '.join(labels)}; if its texts are "
            "of no class, data.out_of_scope=LABEL scores them apart"
        )
    number = [labels.index(label) for label in data.labels]

    def renumber(split: Split) -> Split:
        return Split(split.texts, [number[index] for index in split.classes])

    train, validation, test = (renumber(data[name]) for name in SPLITS)
    return replace(data, labels=labels, train=train, validation=validation, test=test)
