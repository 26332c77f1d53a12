"""Adapters as changes of weights: add, subtract, scale, concatenate, cut to a lower rank.

A change is low-rank factors a target: s B A with A (k, in), B (out, k). Methods whose change
depends on the weight (dora), or is of no low rank (loha), are no such thing and are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import adapted_layers
from loraexp.errors import UserError


@dataclass(frozen=True)
class LowRankChange:
    """B A of one target, scaling folded into B.

    Args:
        A: (k, in), B: (out, k), both float64.
    """

    A: Tensor
    B: Tensor

    @property
    def rank(self) -> int:
        """k, the number of columns held; the true rank may be lower."""
        return len(self.A)

    def dense(self) -> Tensor:  # (out, in)
        return self.B @ self.A


Change = Mapping[str, LowRankChange]  # path of the target -> what is added to its weight


def change_of(network: nn.Module) -> dict[str, LowRankChange]:
    """The change that the network's adapter makes.

    Raises:
        UserError: an adapter whose change depends on the weight it changes or is of no low rank,
            or none.
    """
    change: dict[str, LowRankChange] = {}
    for name, layer in adapted_layers(network).items():
        kind = type(layer.branch)
        if not (kind.additive and kind.has_factors):
            why = "is of no low rank" if kind.additive else "depends on the weight"
            raise UserError(
                f"{name}: the change that {kind.__name__.lower()} makes {why}, "
                "so it cannot be added to another or cut; merge it instead"
            )
        A, B, scaling = layer.branch.factors()
        change[name] = LowRankChange(A, scaling * B)
    if not change:
        raise UserError("this run has no low-rank adapter")
    return change


def weighted_sum(changes: Sequence[Change], weights: Sequence[float]) -> dict[str, LowRankChange]:
    """sum_i w_i s_i B_i A_i, exactly: factors side by side, so ranks add up.

    A target that only some of them have keeps what these give it.

    Raises:
        ValueError: another number of weights than of changes.
    """
    if len(changes) != len(weights):
        raise ValueError(f"{len(changes)} changes and {len(weights)} weights")
    total: dict[str, LowRankChange] = {}
    for name in dict.fromkeys(name for change in changes for name in change):
        parts = [(c[name], w) for c, w in zip(changes, weights, strict=True) if name in c]
        A = torch.cat([part.A for part, _ in parts])
        B = torch.cat([weight * part.B for part, weight in parts], dim=1)
        total[name] = LowRankChange(A, B)
    return total


@dataclass(frozen=True)
class Truncated:
    """A change cut to a rank.

    Args:
        error: |lost| / |whole|, Frobenius norms over all targets; 0 for a change of zero.
    """

    change: dict[str, LowRankChange]
    error: float


def truncate(change: Change, rank: int) -> Truncated:
    """The best approximation of every target's change by one of `rank` (Eckart and Young 1936),
    from a QR of each factor and an SVD of a (k, k) matrix: no (out, in) matrix is made."""
    kept: dict[str, LowRankChange] = {}
    lost = whole = 0.0
    for name, part in change.items():
        Q, R = torch.linalg.qr(part.B)  # (out, k), (k, k)
        P, L = torch.linalg.qr(part.A.t())  # (in, k), (k, k)
        U, S, V = torch.linalg.svd(R @ L.t())
        r = min(rank, len(S))
        roots = S[:r].sqrt()
        kept[name] = LowRankChange((P @ V[:r].t() * roots).t(), Q @ U[:, :r] * roots)
        lost += float(S[r:].square().sum())
        whole += float(S.square().sum())
    return Truncated(kept, (lost / whole) ** 0.5 if whole else 0.0)


def spectrum(part: LowRankChange) -> Tensor:
    """The singular values of B A (at most k), the largest first, as `truncate` has them."""
    R, L = (torch.linalg.qr(factor, mode="r").R for factor in (part.B, part.A.t()))
    return torch.linalg.svdvals(R @ L.t())


def cutting(network: nn.Module) -> tuple[Callable[[int], Truncated], int, bool]:
    """How to cut the network's adapter to a rank, its largest rank, and whether its ranks are
    nested: then the first ones are kept, as they were trained, and what is lost may grow.

    Raises:
        UserError: as change_of.
    """
    change, layers = change_of(network), adapted_layers(network)
    branches = {name: layer.branch for name, layer in layers.items()}
    most, nested = (
        max(part.rank for part in change.values()),
        all(b.nested for b in branches.values()),
    )

    def first(rank: int) -> Truncated:
        kept = {}
        for name, branch in branches.items():
            A, B, scaling = branch.first(rank)
            kept[name] = LowRankChange(A, scaling * B)
        lost, whole = size(weighted_sum([change, kept], [1.0, -1.0])), size(change)
        return Truncated(kept, lost / whole if whole else 0.0)

    return (first if nested else partial(truncate, change)), most, nested


def size(change: Change) -> float:
    """Frobenius norm over all targets."""
    squares = ((part.B.t() @ part.B) * (part.A @ part.A.t()) for part in change.values())
    return max(0.0, sum(float(square.sum()) for square in squares)) ** 0.5
