"""The maths of adapters: what a branch adds to a frozen linear layer.

A branch owns the tensors that train and never the base's. Shapes: lora_A (r, in), lora_B (out, r).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.config.schema import Lora

SCALINGS = {
    "alpha_over_r": lambda alpha, rank: alpha / rank,  # Hu et al. 2021, section 4.1
    "alpha_over_sqrt_r": lambda alpha, rank: alpha / math.sqrt(rank),  # Kalajdzievski 2023
    "alpha": lambda alpha, rank: alpha,  # as in the source tutorial
}


def kaiming(lora_A: Tensor, generator: torch.Generator) -> None:
    """Uniform within 1 / sqrt(in): torch's kaiming_uniform_ with a = sqrt(5), as loralib has it."""
    bound = 1.0 / math.sqrt(lora_A.shape[1])
    lora_A.uniform_(-bound, bound, generator=generator)


def gaussian(lora_A: Tensor, generator: torch.Generator) -> None:
    """Normal with a deviation of 1 / r, as in PEFT."""
    lora_A.normal_(0.0, 1.0 / lora_A.shape[0], generator=generator)


def orthogonal(lora_A: Tensor, generator: torch.Generator) -> None:
    """Orthonormal rows (columns, if r > in), drawn evenly; PEFT's has a lora_B that is not zero."""
    nn.init.orthogonal_(lora_A, generator=generator)


def book(lora_A: Tensor, generator: torch.Generator) -> None:
    """Uniform within 1 / sqrt(r): the tutorial's lora_A is stored (in, r), and the same call takes
    r for the fan-in."""
    bound = 1.0 / math.sqrt(lora_A.shape[0])
    lora_A.uniform_(-bound, bound, generator=generator)


# How lora_A starts where lora_B starts at zero; starts.py has those that need the weight.
STARTS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "kaiming": kaiming,
    "gaussian": gaussian,
    "orthogonal": orthogonal,
    "book": book,
}


class Branch(nn.Module, ABC):
    """What one adapted linear layer adds to its base."""

    additive: ClassVar[bool] = True  # delta is the same whatever the weight is

    @classmethod
    @abstractmethod
    def create(
        cls, base: nn.Linear, config: Lora, rank: int, alpha: float, generator: torch.Generator
    ) -> Self:
        """A fresh branch for `base`; it must change no output."""

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        """The adapted output (..., out) for input x (..., in) and y = base(x)."""

    @abstractmethod
    def delta(self, weight: Tensor) -> Tensor:
        """What merging adds to the base's weight (out, in), in float64."""

    @abstractmethod
    def factors(self) -> tuple[Tensor, Tensor, float]:
        """A (k, in), B (out, k) and s in float64, so that s B A is the low-rank part of the change:
        all of it, if the branch is additive."""

    def merged(self, weight: Tensor) -> Tensor:
        """The weight (out, in) of a plain linear layer that does the same, in weight's dtype."""
        return (weight.double() + self.delta(weight)).to(weight.dtype)


class LowRank(Branch):
    """y + scaling * dropout(x) A' B' (Hu et al. 2021, "LoRA", section 4.1, eq. 3); B starts at 0.

    As in loralib and PEFT. The paper's text draws A from a normal distribution; these two draw it
    uniform, and so does `lora.init=kaiming`.

    Args:
        lora_A: (r, in).
        lora_B: (out, r).
        scaling: alpha / r, or another of SCALINGS.
        dropout: on the branch's input, as in the paper's code.
    """

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__()
        self.lora_A, self.lora_B = nn.Parameter(lora_A), nn.Parameter(lora_B)
        self.scaling, self.dropout = scaling, nn.Dropout(dropout)

    @classmethod
    def create(
        cls, base: nn.Linear, config: Lora, rank: int, alpha: float, generator: torch.Generator
    ) -> Self:
        lora_A = torch.empty(rank, base.in_features, device=base.weight.device)
        if not lora_A.is_meta:  # counting needs shapes only
            STARTS[config.init](lora_A, generator)
        lora_B = torch.zeros(base.out_features, rank, device=base.weight.device)
        return cls(lora_A, lora_B, SCALINGS[config.scaling](alpha, rank), config.dropout)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        x = self.dropout(x).flatten(0, -2)  # (n, in)
        out: Tensor = LowRankSum.apply(  # type: ignore[no-untyped-call]
            y.flatten(0, -2), x, self.lora_A, self.lora_B, self.scaling
        )
        return out.view(y.shape)

    def delta(self, weight: Tensor) -> Tensor:
        return self.scaling * (self.lora_B.double() @ self.lora_A.double())

    def factors(self) -> tuple[Tensor, Tensor, float]:
        return self.lora_A.detach().double(), self.lora_B.detach().double(), self.scaling


class LowRankSum(torch.autograd.Function):
    """y + s x A' B', in y's place, with the gradient written out in fewer operations than autograd
    takes: on a CPU small ones cost by their number. Products run in x's dtype, A and B keep theirs.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, A: Tensor, B: Tensor, s: float) -> Tensor:
        a, b = A.to(x.dtype), B.to(x.dtype)  # (r, in), (out, r)
        low = x @ a.t()  # (n, r)
        ctx.save_for_backward(x, low, a, b)
        ctx.scaling, ctx.dtype = s, A.dtype
        ctx.mark_dirty(y)
        y.addmm_(low, b.t(), alpha=s)  # (n, out)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients  # (n, out)
        x, low, a, b = ctx.saved_tensors
        g_low = (g @ b).mul_(ctx.scaling)  # (n, r)
        g_x = g_low @ a if ctx.needs_input_grad[1] else None  # (n, in)
        g_A = (g_low.t() @ x).to(ctx.dtype) if ctx.needs_input_grad[2] else None  # (r, in)
        g_B = (g.t() @ low).to(ctx.dtype).mul_(ctx.scaling)  # (out, r)
        return g if ctx.needs_input_grad[0] else None, g_x, g_A, g_B, None


class Adapted(nn.Module):
    """A frozen linear layer and its branch."""

    def __init__(self, base: nn.Linear, branch: Branch) -> None:
        super().__init__()
        self.base, self.branch = base, branch

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return self.branch(x, self.base(x), self.base)


class Folded(nn.Module):
    """An adapted layer at the cost of a plain one: base and branch wait beside, untouched.

    Args:
        merged: the plain layer that does the same.
    """

    def __init__(self, adapted: Adapted, merged: nn.Linear) -> None:
        super().__init__()
        self.adapted, self.merged = adapted, merged

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return self.merged(x)
