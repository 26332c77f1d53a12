"""Frozen blocks below the first adapted one are computed once a text, not once an epoch."""

from fractions import Fraction

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from loraexp.data.batching import LengthGrouped, collate
from loraexp.data.datamodule import TextDataModule
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.prefix_states import Prefix

BATCH = 32


def frozen_blocks(network: GPT2Classifier) -> int:
    """How many of the first blocks, and all below them, neither train nor drop anything."""
    embeddings = (network.wte, network.wpe)
    if network.config.dropout or any(p.requires_grad for e in embeddings for p in e.parameters()):
        return 0
    for number, block in enumerate(network.h):
        if any(p.requires_grad for p in block.parameters()):
            return number
    return len(network.h)


def frozen_share(module: LightningModule) -> Fraction:
    """Of all blocks those that are frozen."""
    network = classifier(module)
    return Fraction(frozen_blocks(network), len(network.h))


class PrefixCaching(Callback):
    """Fill the network's prefix before the first step, in batches that are the same in every run.

    So a run that goes on has the states of one that was not cut short, to the bit. Only training
    and its validation use them: what is measured at the end is computed from the texts.

    Args:
        prefixes: of runs in step, by their frozen blocks: the first that needs one fills it.
    """

    def __init__(self, texts: TextDataModule, prefixes: dict[int, Prefix]) -> None:
        self.texts, self.prefixes = texts, prefixes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network = classifier(pl_module)
        blocks = frozen_blocks(network)
        if not blocks or trainer.max_epochs == 1:
            return
        prefix = network.execution.prefix = self.prefixes.setdefault(blocks, Prefix(blocks))
        prefix.filling = True
        for split in ("train", "validation"):
            if not prefix.has(self.texts.split(split).rows):
                fill(network, self.texts, split, pl_module.device)
        prefix.filling = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        classifier(pl_module).execution.prefix = None


def classifier(module: LightningModule) -> GPT2Classifier:
    network = module.get_submodule("network")
    assert isinstance(network, GPT2Classifier)
    return network


@torch.no_grad()
def fill(network: GPT2Classifier, texts: TextDataModule, split: str, device: torch.device) -> None:
    rows = texts.split(split).rows
    for batch in LengthGrouped([len(row) for row in rows], BATCH, seed=None):
        items = [(rows[index], 0) for index in batch]
        tokens, lengths, _ = collate(items, texts.pad, texts.config.pad_to)
        network(tokens.to(device), lengths.to(device))
