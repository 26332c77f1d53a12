"""The work of a run in texts and tokens: how many are learnt from and how many are only read, by
the lengths of the very texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from loraexp.adapters.inject import inject
from loraexp.config.schema import TrainConfig
from loraexp.data.batching import EVALUATION, LengthGrouped
from loraexp.data.splits import TextData, load_data
from loraexp.model.classifier import empty_classifier
from loraexp.model.weights import load_tokenizer
from loraexp.records.record_types import OUT_OF_SCOPE, SPLITS
from loraexp.sweeps.forecasts.flops import Texts
from loraexp.sweeps.live.watch import cost
from loraexp.sweeps.pace import limit
from loraexp.training.callbacks.prefix_cache import frozen_blocks
from loraexp.training.train_sample import train_sample


@dataclass(frozen=True)
class Work:
    """What goes through the network of a run.

    Args:
        train: in an epoch.
        validation: in one look at the validation texts.
        measured: the train, validation and test texts that are measured at the end.
        batches: of an epoch.
        shapes: numbers of tokens that a batch of the run has, each once.
        epochs: at most.
        least: epochs at least, where it may stop early.
        frozen: share of the blocks below all that trains.
    """

    train: Texts
    validation: Texts
    measured: Texts
    batches: int
    shapes: int
    epochs: int
    least: int
    frozen: Fraction


@dataclass
class Reading:
    """Reads and counts, once for all runs that are alike."""

    lengths: dict[str, tuple[TextData, dict[str, list[int]]]] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)

    def work(self, config: TrainConfig) -> Work:
        """Of a run with this config, whose data and tokenizer are here."""
        if (key := cost(config)) not in self.works:
            self.works[key] = work_of(config, *self.read(config))
        return self.works[key]

    def read(self, config: TrainConfig) -> tuple[TextData, dict[str, list[int]]]:
        """The texts, and how many tokens of each the network sees."""
        padded = config.head.pooling == "last_position"  # else packing leaves padding out
        if (key := repr((config.data, config.model, padded))) not in self.lengths:
            data, tokenizer = load_data(config.data), load_tokenizer(config.model)
            most, least = limit(config), (config.data.pad_to or 1) if padded else 1
            texts: dict[str, Sequence[str]] = {name: data[name].texts for name in SPLITS}
            texts[OUT_OF_SCOPE] = data.out_of_scope
            rows = {name: tokenizer.encode(own, most) for name, own in texts.items()}
            lengths = {name: [max(least, len(row)) for row in own] for name, own in rows.items()}
            self.lengths[key] = data, lengths
        return self.lengths[key]


def work_of(config: TrainConfig, data: TextData, lengths: dict[str, list[int]]) -> Work:
    """Args:
    lengths: in tokens, of the texts of each split.
    """
    trainer, frozen = config.trainer, frozen_of(config)
    most = trainer.limit_batches and trainer.limit_batches * trainer.devices

    def batches(own: Sequence[int], seed: int | None = None, epoch: int = 0) -> list[list[int]]:
        size = config.data.batch_size * (1 if seed is not None else EVALUATION)
        sampler = LengthGrouped(own, size, seed=seed)
        sampler.set_epoch(epoch)
        return [[own[at] for at in batch] for batch in [*sampler][:most]]

    epochs = [batches(lengths["train"], config.seed, at) for at in range(trainer.max_epochs)]

    def through(passes: Sequence[Sequence[Sequence[int]]]) -> Texts:
        every = (length for batches in passes for batch in batches for length in batch)
        return Texts.of(every, config.model.causal)

    sample = train_sample(config, data, frozen)
    places = range(len(data.train)) if sample is None else sample
    measured = {name: batches(lengths[name]) for name in lengths if name != "train"}
    measured["train"] = batches([lengths["train"][at] for at in places])
    every = [batch for some in (*epochs, *measured.values()) for batch in some]
    stop = trainer.max_epochs if trainer.patience is None else trainer.patience + 1
    return Work(
        train=through(epochs).each(len(epochs)),
        validation=through([measured["validation"]]),
        measured=through([*measured.values()]),
        batches=len(epochs[0]),
        shapes=len({*map(sum, every)}),
        epochs=trainer.max_epochs,
        least=min(trainer.max_epochs, stop),
        frozen=frozen,
    )


def frozen_of(config: TrainConfig) -> Fraction:
    network = inject(empty_classifier(config.model, config.head, 2), config, config.seed)
    return Fraction(frozen_blocks(network), len(network.h))
