"""Branches beside plain LoRA: with a magnitude, with shared random matrices, with a budget; and THE
TABLE of all branches."""

from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches import Branch, LowRank, LowRankSum
from loraexp.adapters.starts import FromStart
from loraexp.config.schema import Lora


class Dora(LowRank):
    """m (W + s B A) / |W + s B A|, the norm of each output's row (Liu et al. 2024, eq. 5).

    As in the paper's section 4.3 and in PEFT, no gradient runs through the norm. The norm comes
    from |W|^2 + 2 s W.BA + s^2 |BA|^2, with |W|^2 kept, so that no (out, in) matrix of the sum is
    made and a fresh branch divides m by itself: it changes nothing, exactly. A row of zeros has no
    direction (PEFT divides 0 by 0 there): it is scaled by 1 until B moves it.

    Args:
        lora_magnitude_vector: (out,) m; starts as |W|.
    """

    additive: ClassVar[bool] = False
    squares: Tensor  # (out,) |W|^2

    def __init__(
        self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float, squares: Tensor
    ) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        self.register_buffer("squares", squares, persistent=False)
        self.lora_magnitude_vector = nn.Parameter(squares.sqrt())

    @classmethod
    def create(
        cls, base: nn.Linear, config: Lora, rank: int, alpha: float, generator: torch.Generator
    ) -> Self:
        plain = LowRank.create(base, config, rank, alpha, generator)
        weight = base.weight.detach()
        squares = weight.to(torch.promote_types(weight.dtype, torch.float32)).square().sum(1)
        lora_A, lora_B = plain.lora_A.detach(), plain.lora_B.detach()
        return cls(lora_A, lora_B, plain.scaling, config.dropout, squares)

    def factor(self, weight: Tensor, A: Tensor, B: Tensor, m: Tensor) -> Tensor:
        """m / |W + s B A|, (out,), 1 where that is zero; W (out, in) in any dtype."""
        s, A, B = self.scaling, A.to(m.dtype), B.to(m.dtype)
        with torch.no_grad():
            cross = (weight.to(m.dtype) @ A.t() * B).sum(1)
            own = (B @ (A @ A.t()) * B).sum(1)
            norm = (self.squares.to(m.dtype) + 2 * s * cross + s * s * own).clamp(min=0).sqrt()
            empty = norm == 0
        # Filled before the division: the gradient of 0 / 0 is NaN even where `where` drops it.
        return torch.where(empty, 1.0, m / norm.masked_fill(empty, 1.0))

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        A, B, m = self.lora_A, self.lora_B, self.lora_magnitude_vector
        factor = self.factor(base.weight, A, B, m).to(x.dtype)
        dropped = self.dropout(x)
        if dropped is x:
            plain = y if base.bias is None else y - base.bias.to(y.dtype)
        else:  # as in PEFT: dropout is then on the whole of what is scaled
            plain = F.linear(dropped, base.weight.to(x.dtype))
        low = F.linear(F.linear(dropped, A.to(x.dtype)), B.to(x.dtype))
        return y + (factor - 1) * plain + factor * (self.scaling * low)

    def delta(self, weight: Tensor) -> Tensor:
        A, B, m = (t.double() for t in (self.lora_A, self.lora_B, self.lora_magnitude_vector))
        factor = self.factor(weight.double(), A, B, m)[:, None]
        return (factor - 1) * weight.double() + factor * (self.scaling * (B @ A))


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
    def create(
        cls, base: nn.Linear, config: Lora, rank: int, alpha: float, generator: torch.Generator
    ) -> Self:
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        if base.weight.is_meta:
            A = base.weight.new_empty(rank, base.in_features, dtype=kind)
            B = base.weight.new_empty(base.out_features, rank, dtype=kind)
            return cls(A, B, config.dropout)
        A = torch.from_numpy(endless(rank, base.in_features, cls.SEED))
        B = torch.from_numpy(endless(base.out_features, rank, cls.SEED + 1))
        bounds = (6 / base.in_features) ** 0.5, (6 / rank) ** 0.5
        like = {"dtype": kind, "device": base.weight.device}
        return cls((A * bounds[0]).to(**like), (B * bounds[1]).to(**like), config.dropout)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        low = F.linear(self.dropout(x), self.A.to(x.dtype)) * self.vera_lambda_d.to(x.dtype)
        return y + F.linear(low, self.B.to(x.dtype)) * self.vera_lambda_b.to(x.dtype)

    def delta(self, weight: Tensor) -> Tensor:
        A, B, s = self.factors()
        return s * (B @ A)

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


class AdaLora(LowRank):
    """y + s P (e * (Q dropout(x))): an SVD-like update whose e can be cut (Zhang et al. 2023,
    "AdaLoRA", section 3.1, eq. 3). The budget that cuts it is training/rank_budget.py.

    Q is lora_A (r, in), P is lora_B (out, r), both normal with deviation 0.02 as in the authors'
    code and PEFT; s is alpha / r, where PEFT has alpha / (r + 1e-5).

    Args:
        lora_E: (r,) e; starts at zero.
    """

    DEVIATION: ClassVar[float] = 0.02

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        self.lora_E = nn.Parameter(torch.zeros_like(lora_A[:, 0]))

    @classmethod
    def create(
        cls, base: nn.Linear, config: Lora, rank: int, alpha: float, generator: torch.Generator
    ) -> Self:
        branch = super().create(base, config, rank, alpha, generator)
        if not base.weight.is_meta:
            with torch.no_grad():
                branch.lora_A.normal_(0.0, cls.DEVIATION, generator=generator)
                branch.lora_B.normal_(0.0, cls.DEVIATION, generator=generator)
        return branch

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        x, Q = self.dropout(x).flatten(0, -2), self.lora_E[:, None] * self.lora_A
        out: Tensor = LowRankSum.apply(  # type: ignore[no-untyped-call]
            y.flatten(0, -2), x, Q, self.lora_B, self.scaling
        )
        return out.view(y.shape)

    def delta(self, weight: Tensor) -> Tensor:
        A, B, s = self.factors()
        return s * (B @ A)

    def factors(self) -> tuple[Tensor, Tensor, float]:
        A, B, s = super().factors()
        return self.lora_E.detach().double()[:, None] * A, B, s

    def penalty(self) -> Tensor:
        """|P'P - I|^2 + |QQ' - I|^2 (eq. 4); PEFT takes the roots, and their mean."""
        P, Q = self.lora_B, self.lora_A
        unit = torch.eye(len(Q), dtype=Q.dtype, device=Q.device)
        return (P.t() @ P - unit).square().sum() + (Q @ Q.t() - unit).square().sum()


BRANCHES: dict[str, type[Branch]] = {
    "AdaLora": AdaLora,
    "LowRank": LowRank,
    "FromStart": FromStart,
    "Dora": Dora,
    "Vera": Vera,
}
