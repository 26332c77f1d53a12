"""Texts of different lengths in one row of tokens: padding stays out of the matrix products.

Only attention needs texts apart; for it, rows are spread out to (B, T, ...) and taken back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

# Rows are filled up to a multiple of this: a CPU's matrix library prepares each new shape anew, and
# with every batch of another size a step of `nano` took 46 ms instead of 36.
MULTIPLE = 32
# Texts get room for a multiple of this many tokens: the library keeps 0.6 MB for a product of each
# new shape, some twenty a width, and takes time to prepare it. No slower for GPT-2 124M, 1.5 s less
# in a run of `nano`, 0.1 to 0.3 GB less in both.
WIDTHS = 4
# A grid with at most this many places a token is left as it is: taking rows out and putting them
# back, four times a block, costs more than to compute the padding. Batches of like length are such.
GRID = 1.1


@dataclass(frozen=True)
class Packing:
    """Where each of the N tokens of B texts stands in a (B, T) grid.

    Args:
        lengths: (B,) tokens of each text, at least 1.
        width: T.
        index: (N,) place of each token in the flattened grid, ascending; None if the rows are the
            grid itself, padding included.
    """

    lengths: Tensor
    width: int
    index: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor, width: int) -> Self:
        filled = torch.arange(width, device=lengths.device) < lengths[:, None]  # (B, T)
        if filled.numel() <= GRID * int(lengths.sum()):
            return cls(lengths, width, None)
        return cls(lengths, width, filled.flatten().nonzero()[:, 0])

    @property
    def texts(self) -> int:
        return len(self.lengths)

    @property
    def rows(self) -> int:
        """N, rows of zeros at the end included."""
        if self.index is None:
            return self.texts * self.width
        return len(self.index) + -len(self.index) % MULTIPLE

    def each(
        self, work: Callable[..., Tensor], *rows: Tensor, last: Tensor | None = None
    ) -> Tensor:
        """work(packing, *rows, last): of one batch, at once."""
        return work(self, *rows, last)

    @property
    def firsts(self) -> Tensor:
        """(B,) the row that begins each text."""
        if self.index is None:
            return torch.arange(self.texts, device=self.lengths.device) * self.width
        return self.lengths.cumsum(0) - self.lengths

    @property
    def lasts(self) -> Tensor:
        """(B,) the row that ends each text."""
        return self.firsts + self.lengths - 1

    def pooled_at(self, pooling: str) -> Tensor:
        """(B,) the row that stands for its text."""
        return self.firsts if pooling == "first" else self.lasts

    @property
    def owners(self) -> Tensor:
        """(N,) the text of each row; -1 for padding."""
        texts = torch.arange(self.texts, device=self.lengths.device)
        if self.index is None:
            return torch.where(self.real()[:, 0, 0], texts[:, None], -1).flatten()
        owners = texts.repeat_interleave(self.lengths)
        return pad(owners, (0, -len(owners) % MULTIPLE), value=-1)

    def pack(self, grid: Tensor) -> Tensor:
        """(B, T, c) -> (N, c), with rows of zeros at the end up to a multiple of MULTIPLE."""
        flat = grid.reshape(-1, grid.shape[-1])
        if self.index is None:
            return flat
        return GatherRows.apply(flat, self.index)  # type: ignore[no-untyped-call]

    def unpack(self, rows: Tensor) -> Tensor:
        """(N, c) -> (B, T, c); what stands where there is no token means nothing."""
        if self.index is not None:
            size = self.texts * self.width
            rows = ScatterRows.apply(rows, self.index, size)  # type: ignore[no-untyped-call]
        return rows.view(self.texts, self.width, -1)

    def mean(self, rows: Tensor) -> Tensor:
        """(N, c) -> (B, c): over the tokens of each text."""
        real = self.real()[:, 0, 0, :, None]  # (B, T, 1)
        return self.unpack(rows).masked_fill(~real, 0).sum(1) / self.lengths[:, None]

    def split(self, rows: Tensor) -> list[Tensor]:
        """(N, c) -> (T_i, c) of each text."""
        lengths = self.lengths.tolist()
        if self.index is None:
            return [text[:n] for text, n in zip(self.unpack(rows), lengths, strict=True)]
        return list(torch.split(rows[: sum(lengths)], lengths))

    def join(self, texts: Sequence[Tensor]) -> Tensor:
        """The reverse of `split`, zeros elsewhere."""
        if self.index is None:
            texts = [pad(text, (0, 0, 0, self.width - len(text))) for text in texts]
            return torch.cat([*texts])
        rows = torch.cat([*texts])
        return pad(rows, (0, 0, 0, -len(rows) % MULTIPLE))

    def real(self) -> Tensor:
        """(B, 1, 1, T): where there is a token."""
        positions = torch.arange(self.width, device=self.lengths.device)
        return (positions < self.lengths[:, None])[:, None, None]

    def seen_by(self, tokens: Tensor) -> Tensor:
        """(B, 1, 1, T): what one token a text, given by its row (B,), may attend to."""
        places = tokens - self.firsts  # (B,) within its text
        positions = torch.arange(self.width, device=tokens.device)
        return (positions <= places[:, None])[:, None, None]


class GatherRows(torch.autograd.Function):
    """Rows at distinct places. Autograd's own gradient of indexing adds up, one row at a time."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, index: Tensor) -> Tensor:  # (B T, c), (N,) -> (N, c)
        ctx.index, ctx.size = index, len(flat)
        return gather(flat, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return scatter(gradients[0], ctx.index, ctx.size), None


class ScatterRows(torch.autograd.Function):
    """The reverse of GatherRows: rows to distinct places, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, size: int) -> Tensor:
        ctx.index, ctx.rows = index, len(rows)
        return scatter(rows, index, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gather(gradients[0], ctx.index)[: ctx.rows], None, None


def gather(flat: Tensor, index: Tensor) -> Tensor:
    rows = flat.new_zeros(len(index) + -len(index) % MULTIPLE, flat.shape[-1])
    torch.index_select(flat, 0, index, out=rows[: len(index)])
    return rows


def scatter(rows: Tensor, index: Tensor, size: int) -> Tensor:
    return rows.new_zeros(size, rows.shape[-1]).index_copy_(0, index, rows[: len(index)])
