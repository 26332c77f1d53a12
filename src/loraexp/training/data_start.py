"""What a start asks of the data: gradients or inputs of the adapted layers over a few batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.adapters.branches.base import Adapted, adapted_layers
from loraexp.data.batching import Batch
from loraexp.data.datamodule import TextDataModule
from loraexp.model.classifier import GPT2Classifier

BATCHES = 8


def start_from_data(network: GPT2Classifier, texts: TextDataModule) -> None:
    """Give every branch that needs it what the first BATCHES batches of the first epoch say.

    Nothing random is drawn, and no tensor of the base is written to: the same each time, in a run
    that goes on too.
    """
    for needs, finder in FINDERS.items():
        layers = {
            path: layer
            for path, layer in adapted_layers(network).items()
            if layer.branch.needs == needs
        }
        if not layers:
            continue
        was_training = network.training
        network.eval()
        found = finder(network, layers, first_batches(texts))
        network.train(was_training)
        with torch.no_grad():
            for path, layer in layers.items():
                layer.branch.start_from(found[path])


def first_batches(texts: TextDataModule) -> Iterator[Batch]:
    """Not by the loader's own iterator: that draws a random number."""
    loader: Any = texts.train_dataloader()
    for places in islice(loader.batch_sampler, BATCHES):
        yield loader.collate_fn([loader.dataset[place] for place in places])


def gradients(
    network: GPT2Classifier, layers: dict[str, Adapted], batches: Iterator[Batch]
) -> dict[str, Tensor]:
    """(out, in) of each layer's weight in float64: of the mean loss of a text, summed up."""
    found = {path: torch.zeros_like(layer.base.weight).double() for path, layer in layers.items()}
    weights = [layer.base.weight for layer in layers.values()]
    with training(weights), torch.enable_grad():
        for batch in batches:
            logits = network(batch.tokens, batch.lengths).float()
            loss = F.cross_entropy(logits, batch.classes)
            for own, gradient in zip(
                found.values(), torch.autograd.grad(loss, weights), strict=True
            ):
                own += gradient
    return found


@contextmanager
def training(weights: list[Tensor]) -> Iterator[None]:
    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(False)


@torch.no_grad()
def inputs(
    network: GPT2Classifier, layers: dict[str, Adapted], batches: Iterator[Batch]
) -> dict[str, Tensor]:
    """X'X (in, in) of each layer's inputs X (tokens, in), in float64; of one text after another:
    what is padding then comes after its tokens."""
    found = {
        path: torch.zeros(2 * (layer.base.in_features,), dtype=torch.float64)
        for path, layer in layers.items()
    }

    real = 0

    def seen(own: Tensor, module: Any, given: tuple[Tensor]) -> None:
        x = given[0].flatten(0, -2)[:real].double()
        own.addmm_(x.t(), x)

    hooks = [
        layer.base.register_forward_pre_hook(partial(seen, found[path]))
        for path, layer in layers.items()
    ]
    try:
        for batch in batches:
            for tokens, length in zip(batch.tokens, batch.lengths, strict=True):
                real = int(length)
                network(tokens[None, :real], length[None])
    finally:
        for hook in hooks:
            hook.remove()
    return found


FINDERS = {"gradient": gradients, "inputs": inputs}
