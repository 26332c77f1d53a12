"""Texts of different lengths in one row of tokens: no padding goes through a matrix product.

Only attention needs texts apart; for it, rows are spread out to (B, T, ...) and taken back.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where each of the N tokens of B texts stands in a (B, T) grid.

    Args:
        lengths: (B,) tokens of each text, at least 1.
        width: T.
        index: (N,) place of each token in the flattened grid, ascending; None if the grid is full.
    """

    lengths: Tensor
    width: int
    index: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor, width: int) -> Self:
        filled = torch.arange(width, device=lengths.device) < lengths[:, None]  # (B, T)
        index = filled.flatten().nonzero()[:, 0]
        return cls(lengths, width, None if len(index) == filled.numel() else index)

    @property
    def texts(self) -> int:
        return len(self.lengths)

    @property
    def lasts(self) -> Tensor:
        """(B,) which of the N tokens ends each text."""
        return self.lengths.cumsum(0) - 1

    @property
    def firsts(self) -> Tensor:
        """(B,) which of the N tokens begins each text."""
        return self.lengths.cumsum(0) - self.lengths

    def pack(self, grid: Tensor) -> Tensor:
        """(B, T, c) -> (N, c)."""
        flat = grid.reshape(-1, grid.shape[-1])
        if self.index is None:
            return flat
        return Taken.apply(flat, self.index)  # type: ignore[no-untyped-call]

    def unpack(self, rows: Tensor) -> Tensor:
        """(N, c) -> (B, T, c), zeros elsewhere."""
        if self.index is not None:
            size = self.texts * self.width
            rows = Spread.apply(rows, self.index, size)  # type: ignore[no-untyped-call]
        return rows.view(self.texts, self.width, -1)

    def seen_by(self, tokens: Tensor) -> Tensor:
        """(B, 1, 1, T): what one token a text, given as packed positions (B,), may attend to."""
        places = tokens - self.firsts  # (B,) within its text
        positions = torch.arange(self.width, device=tokens.device)
        return (positions <= places[:, None])[:, None, None]


class Taken(torch.autograd.Function):
    """Rows at distinct places. Autograd's own gradient of indexing adds up, one row at a time."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, index: Tensor) -> Tensor:  # (B T, c), (N,) -> (N, c)
        ctx.index, ctx.size = index, len(flat)
        return flat.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return spread(gradients[0], ctx.index, ctx.size), None


class Spread(torch.autograd.Function):
    """The reverse of Taken: rows to distinct places, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, size: int) -> Tensor:
        ctx.index = index
        return spread(rows, index, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].index_select(0, ctx.index), None, None


def spread(rows: Tensor, index: Tensor, size: int) -> Tensor:
    return rows.new_zeros(size, rows.shape[-1]).index_copy_(0, index, rows)
