"""The shape of what training added to each weight matrix: its rank, its size, its intruders."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from loraexp.adapters.algebra import LowRankChange, spectrum
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.inject import linear_names
from loraexp.model.gpt2 import GPT2
from loraexp.records.inspection import Target

SHARE = 0.9  # of the sum of squared singular values, as Biderman et al. 2024, section 4.5
# As peft's reduce_intruder_dimension has them.
TOP, LIKE = 10, 0.5


class Base:
    """A base before training, and the left singular vectors of its weights, found once for all
    runs that share it.

    Args:
        network: without an adapter.
    """

    def __init__(self, network: GPT2) -> None:
        self.network, self.vectors = network, dict[str, Tensor]()

    def weight(self, path: str) -> Tensor:  # (out, in)
        return self.network.get_submodule(path).get_parameter("weight").detach()

    def left(self, path: str) -> Tensor:
        """(out, min(out, in)): a column each, that of the largest singular value first."""
        if path not in self.vectors:
            self.vectors[path] = left_vectors(self.weight(path))
        return self.vectors[path]


@torch.no_grad()
def shape_of(network: GPT2, base: Base) -> Iterator[Target]:
    """Each linear layer of the base whose weight training changed; the head is none of the base."""
    for path in linear_names(base.network):
        weight = base.weight(path)
        found = change_of_layer(network.get_submodule(path), weight)
        if found is None:
            continue
        values, after, rank = found
        yield Target(
            path,
            rank,
            rank90=holding(values, SHARE),
            update=float(values.square().sum().sqrt()),
            weight=float(weight.double().norm()),
            intruders=intruders(base.left(path), after),
        )


def change_of_layer(layer: nn.Module, weight: Tensor) -> tuple[Tensor, Tensor, int] | None:
    """Singular values (k,) of the change in float64, the weight (out, in) after it, and the most
    ranks that the change can have; None of a layer whose weight did not train.

    Only a change that is no product of factors is ever decomposed as a whole matrix.
    """
    if isinstance(layer, Adapted):
        branch, after = layer.branch, layer.branch.merged(weight)
        if branch.additive and branch.has_factors:
            A, B, s = branch.factors()
            part = LowRankChange(A, s * B)
            return spectrum(part), after, min(part.rank, *weight.shape)
    elif not layer.get_parameter("weight").requires_grad:
        return None
    else:
        after = layer.get_parameter("weight").detach()
    change = after.double() - weight.double()
    return torch.linalg.svdvals(change), after, min(weight.shape)


def holding(values: Tensor, share: float) -> int:
    """How many of the values (k,), descending, hold that share of the sum of all squares."""
    held = values.square().cumsum(0)
    return int((held < share * held[-1]).sum()) + 1 if held[-1] > 0 else 0


def intruders(before: Tensor, after: Tensor) -> int:
    """Intruder dimensions (Shuttleworth et al. 2024, "An Illusion of Equivalence", algorithm 1): of
    the first TOP left singular vectors of a weight after training those whose cosine with each
    that it had before is below LIKE in size.

    Args:
        before: the left singular vectors (out, m) of the weight before training.
        after: the weight (out, in) after it.
    """
    cosines = left_vectors(after)[:, :TOP].t() @ before  # (TOP, m)
    return int((cosines.abs().amax(1) < LIKE).sum())


def left_vectors(weight: Tensor) -> Tensor:
    """(out, min(out, in))."""
    return torch.linalg.svd(weight, full_matrices=False).U
