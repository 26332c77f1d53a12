"""Low-rank adaptation, and its sum and gradient written out."""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import INITS, SCALINGS, Branch
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


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

    moves_first: ClassVar[tuple[str, ...]] = ("lora_B",)
    fast: ClassVar[tuple[str, ...]] = ("lora_B",)

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__()
        self.lora_A, self.lora_B = nn.Parameter(lora_A), nn.Parameter(lora_B)
        self.scaling, self.dropout = scaling, nn.Dropout(dropout)

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        lora_A = torch.empty(target.rank, base.in_features, device=base.weight.device)
        lora_B = torch.zeros(base.out_features, target.rank, device=base.weight.device)
        scaling = SCALINGS[config.lora.scaling](target.alpha, target.rank)
        return cls(lora_A, lora_B, scaling, config.lora.dropout)

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        INITS[config.lora.init](self.lora_A, generator)

    def down(self) -> Tensor:
        """(r, in): what the input meets first."""
        return self.lora_A

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        x = self.dropout(x).flatten(0, -2)  # (n, in)
        out: Tensor = LowRankSum.apply(  # type: ignore[no-untyped-call]
            y.flatten(0, -2), x, self.down(), self.lora_B, self.scaling
        )
        return out.view(y.shape)

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
