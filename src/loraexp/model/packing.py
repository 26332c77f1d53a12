"""Texts of different lengths in one row of tokens: padding stays out of the matrix products.

Only attention needs texts apart; for it, rows are spread out to (B, T, ...) and taken back.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

# Rows are filled up to a multiple of this: a CPU's matrix library prepares each new shape anew, and
# with every batch of another size a step of `nano` took 46 ms instead of 36.
MULTIPLE = 32


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
        full = len(index) == filled.numel() and len(index) % MULTIPLE == 0
        return cls(lengths, width, None if full else index)

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

    def pooled_at(self, pooling: str) -> Tensor:
        """(B,) which of the N tokens stands for its text."""
        return self.firsts if pooling == "first" else self.lasts

    @property
    def owners(self) -> Tensor:
        """(N,) the text of each token; -1 for the rows that fill up."""
        texts = torch.arange(self.texts, device=self.lengths.device)
        owners = texts.repeat_interleave(self.lengths)
        return torch.nn.functional.pad(owners, (0, -len(owners) % MULTIPLE), value=-1)

    def pack(self, grid: Tensor) -> Tensor:
        """(B, T, c) -> (N, c), with rows of zeros at the end up to a multiple of MULTIPLE."""
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

    def real(self) -> Tensor:
        """(B, 1, 1, T): where there is a token."""
        positions = torch.arange(self.width, device=self.lengths.device)
        return (positions < self.lengths[:, None])[:, None, None]

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
        return take(flat, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return spread(gradients[0], ctx.index, ctx.size), None


class Spread(torch.autograd.Function):
    """The reverse of Taken: rows to distinct places, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, size: int) -> Tensor:
        ctx.index, ctx.rows = index, len(rows)
        return spread(rows, index, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return take(gradients[0], ctx.index)[: ctx.rows], None, None


def take(flat: Tensor, index: Tensor) -> Tensor:
    rows = flat.new_zeros(len(index) + -len(index) % MULTIPLE, flat.shape[-1])
    torch.index_select(flat, 0, index, out=rows[: len(index)])
    return rows


def spread(rows: Tensor, index: Tensor, size: int) -> Tensor:
    return rows.new_zeros(size, rows.shape[-1]).index_copy_(0, index, rows[: len(index)])
