"""Low-rank adaptation, and its sum and gradient written out."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import INITS, SCALINGS, Branch, Own, Span, apart
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

    @staticmethod
    def together(owners: "Sequence[Own[LowRank]]", x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        if any(own.branch.dropout.p and own.branch.training for own in owners):
            xs = apart(owners, x)
            for number, own in enumerate(owners):
                with own.drawing:
                    xs[2 * number + 1] = own.branch.dropout(xs[2 * number + 1])
            x = torch.cat(xs)
        spans = tuple(own.span for own in owners)
        scalings = tuple(own.branch.scaling for own in owners)
        factors = [f for own in owners for f in (own.branch.down(), own.branch.lora_B)]
        out: Tensor = LowRankSums.apply(y, x, spans, scalings, *factors)  # type: ignore[no-untyped-call]
        return out

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


class LowRankSums(torch.autograd.Function):
    """LowRankSum of several branches, each over its own span of rows.

    Args:
        factors: A and B of the first, A and B of the second, ...
    """

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        x: Tensor,
        spans: tuple[Span, ...],
        scalings: tuple[float, ...],
        *factors: Tensor,
    ) -> Tensor:
        cast = [factor.to(x.dtype) for factor in factors]
        lows = []
        for (start, end), s, a, b in zip(spans, scalings, cast[::2], cast[1::2], strict=True):
            low = x[start:end] @ a.t()  # (n, r)
            y[start:end].addmm_(low, b.t(), alpha=s)
            lows.append(low)
        ctx.save_for_backward(x, *lows, *cast)
        ctx.spans, ctx.scalings, ctx.dtype = spans, scalings, factors[0].dtype
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (g,), (x, *saved) = gradients, ctx.saved_tensors  # (n, out), (n, in)
        n, wanted = len(ctx.spans), ctx.needs_input_grad
        lows, cast = saved[:n], saved[n:]
        whole = sum(end - start for start, end in ctx.spans) == len(x)
        g_x = (torch.empty_like if whole else torch.zeros_like)(x) if wanted[1] else None
        g_factors: list[Tensor | None] = []
        own = zip(ctx.spans, ctx.scalings, lows, cast[::2], cast[1::2], strict=True)
        for number, ((start, end), s, low, a, b) in enumerate(own):
            g_own = g[start:end]  # (n, out)
            of_A, of_B = wanted[4 + 2 * number], wanted[5 + 2 * number]
            g_low = (g_own @ b).mul_(s)  # (n, r)
            if g_x is not None:
                torch.mm(g_low, a, out=g_x[start:end])
            g_factors.append((g_low.t() @ x[start:end]).to(ctx.dtype) if of_A else None)
            g_factors.append((g_own.t() @ low).to(ctx.dtype).mul_(s) if of_B else None)
        return g if wanted[0] else None, g_x, None, None, *g_factors
