"""Which train texts are measured when a run ends: all of them, or a sample of little cost."""

from collections.abc import Mapping
from fractions import Fraction

from loraexp.config.schema import TrainConfig
from loraexp.data.batching import EVALUATION
from loraexp.data.draws import drawn, some
from loraexp.data.splits import TextData
from loraexp.records.record_types import SPLITS

PART = 20  # the sample costs at most one part in 20 of its run
LEAST = 200  # texts: fewer would leave an accuracy of 95 % open by more than 3 points either way
CAP = 10_000  # of trainer.train_metrics=capped
NUMBER = 3  # of the draw; data.limit draws the splits by 0, 1 and 2


def train_sample(config: TrainConfig, data: TextData, frozen: Fraction) -> list[int] | None:
    """Places of the train texts whose metrics stand for all; None where all are measured.

    They follow from the config and the texts alone, so `eval` finds those that a run measured.

    Args:
        frozen: as of `affordable`.
    """
    classes, asked = data.train.classes, config.trainer.train_metrics
    if asked == "capped" and len(classes) > CAP:
        return some(classes, CAP, config.data, NUMBER)
    if asked == "sample":
        n = affordable(config, {name: len(data[name]) for name in SPLITS}, frozen)
        if n < len(classes):
            return drawn(classes, n, (config.data.split_seed, NUMBER))
    return None


def affordable(config: TrainConfig, sizes: Mapping[str, int], frozen: Fraction) -> int:
    """How many train texts a sample has: a twentieth of what the run costs at least, in texts that
    go forward once; yet 200, for the number to mean something, and never more than there are.

    A train text costs three in each epoch, as its backward pass takes about two forward ones; a
    validation text one in each epoch and one at the end, a test text one. Through frozen blocks
    nothing goes backward, and of several epochs only the first goes forward. With patience the run
    may end early, so that only the epochs that it cannot do without are counted.

    Args:
        sizes: of the splits.
        frozen: which share of the blocks is below all that trains.
    """
    trainer, batch = config.trainer, config.data.batch_size

    def seen(split: str, batch: int) -> int:
        most = trainer.limit_batches and trainer.limit_batches * batch
        return min(sizes[split], most or sizes[split])

    epochs = min(trainer.max_epochs, (trainer.patience or trainer.max_epochs) + 1)
    train = seen("train", batch)
    validation, test = (seen(name, EVALUATION * batch) for name in SPLITS[1:])
    learning = epochs * (1 - frozen) * (3 * train + validation) + frozen * (train + validation)
    return min(sizes["train"], max(LEAST, int((learning + validation + test) / PART)))
