"""One split measured: its metrics, and what was predicted for each text, in the split's order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from loraexp.data.datamodule import TextDataModule
from loraexp.training.classifier_module import ClassifierModule

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


def evaluate(
    trainer: Trainer, module: ClassifierModule, texts: TextDataModule, split: str
) -> Evaluation:
    """Measure one split, of a large training set a sample; under DDP every process gets the whole.

    Raises:
        UserError: logits that are NaN or infinite.
    """
    sample = texts.data.sample if split == "train" else None
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
    true = [int(texts.data[split].classes[place]) for place in places]
    return Evaluation(
        metrics, places, true, torch.stack([probabilities[place] for place in places])
    )
