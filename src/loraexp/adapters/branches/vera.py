"""Vectors that scale random matrices, which all layers share."""

from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class Vera(Branch):
    """y + b * (B (d * (A dropout(x)))) with A, B random, frozen and shared (Kopiczko et al. 2023,
    section 3.1, eq. 2).

    A (r, in) and B (out, r) are cut from two endless matrices that the seed below names, uniform
    with Kaiming's bounds; every layer has the same, no file holds them, and only the two vectors
    train. PEFT draws them from torch's generator, and scales by the largest layer's size. alpha and
    scaling have no part in it.

    Args:
        vera_lambda_d: (r,) d; starts at 0.1, as in the paper's code.
        vera_lambda_b: (out,) b; starts at zero.
    """

    moves_first: ClassVar[tuple[str, ...]] = ("vera_lambda_b",)
    A: Tensor
    B: Tensor
    D_START: ClassVar[float] = 0.1
    SEED: ClassVar[int] = 0

    def __init__(self, A: Tensor, B: Tensor, dropout: float) -> None:
        super().__init__()
        self.register_buffer("A", A, persistent=False)
        self.register_buffer("B", B, persistent=False)
        self.vera_lambda_d = nn.Parameter(torch.full_like(A[:, 0], self.D_START))
        self.vera_lambda_b = nn.Parameter(torch.zeros_like(B[:, 0]))
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already: what is random is in no file, what trains starts at constants."""
        weight, rank = base.weight, target.rank
        kind = torch.promote_types(weight.dtype, torch.float32)
        if weight.is_meta:  # a sweep's jobs are checked so, of every rank
            A = weight.new_empty(rank, base.in_features, dtype=kind)
            B = weight.new_empty(base.out_features, rank, dtype=kind)
            return cls(A, B, config.lora.dropout)
        A = torch.from_numpy(endless(rank, base.in_features, cls.SEED))
        B = torch.from_numpy(endless(base.out_features, rank, cls.SEED + 1))
        bounds = (6 / base.in_features) ** 0.5, (6 / rank) ** 0.5
        A, B = (
            (m * bound).to(weight.device, kind) for m, bound in zip((A, B), bounds, strict=True)
        )
        return cls(A, B, config.lora.dropout)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        low = F.linear(self.dropout(x), self.A.to(x.dtype)) * self.vera_lambda_d.to(x.dtype)
        return y + F.linear(low, self.B.to(x.dtype)) * self.vera_lambda_b.to(x.dtype)

    def factors(self) -> tuple[Tensor, Tensor, float]:
        """d scales the rows of A, b those of B."""
        d, b = self.vera_lambda_d.detach().double(), self.vera_lambda_b.detach().double()
        return d[:, None] * self.A.double(), b[:, None] * self.B.double(), 1.0


@lru_cache(maxsize=8)
def endless(rows: int, columns: int, seed: int) -> np.ndarray:
    """The upper left corner (rows, columns) of a matrix of numbers uniform in [-1, 1).

    Made from the raw bits of PCG64, which numpy promises never to change; row i has a stream of
    its own, so that a larger corner holds the smaller one.
    """
    streams = (np.random.PCG64([seed, row]).random_raw(columns) for row in range(rows))
    bits = np.stack([stream >> np.uint64(11) for stream in streams])
    return bits.astype(np.float64) / 2.0**52 - 1.0
