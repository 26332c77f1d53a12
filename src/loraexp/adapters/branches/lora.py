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
    """LowRankSum of several branches, each over its own span of rows; neighbours that have equally
    many rows are one batched product, smaller ranks filled up with zeros.

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
        ctx.groups, ctx.scalings, ctx.dtype = equal_spans(spans), scalings, factors[0].dtype
        ctx.ranks = [len(A) for A in factors[::2]]
        saved = [x]  # then low, A and B of each group
        for start, end, some in ctx.groups:
            A, B = stacked(factors, scalings, some, x.dtype)  # (G, r, in), (G, r, out)
            x_own, y_own = (rows[start:end].view(len(some), -1, rows.shape[-1]) for rows in (x, y))
            low = x_own @ A.transpose(1, 2)  # (G, n, r)
            y_own.baddbmm_(low, B)  # (G, n, out)
            saved += low, A, B
        ctx.save_for_backward(*saved)
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (g,), (x, *saved), wanted = gradients, ctx.saved_tensors, ctx.needs_input_grad
        whole = sum(end - start for start, end, _ in ctx.groups) == len(x)
        g_x = (torch.empty_like if whole else torch.zeros_like)(x) if wanted[1] else None
        g_factors: list[Tensor | None] = [None for _ in range(2 * len(ctx.ranks))]
        own = zip(ctx.groups, saved[::3], saved[1::3], saved[2::3], strict=True)
        for (start, end, some), low, A, B in own:
            x_own, g_own = (rows[start:end].view(len(some), -1, rows.shape[-1]) for rows in (x, g))
            g_low = g_own @ B.transpose(1, 2)  # (G, n, r)
            if g_x is not None:
                torch.bmm(g_low, A, out=g_x[start:end].view(x_own.shape))
            of_A = (g_low.transpose(1, 2) @ x_own).to(ctx.dtype)  # (G, r, in)
            of_B = (low.transpose(1, 2) @ g_own).to(ctx.dtype)  # (G, r, out)
            for place, number in enumerate(some):
                rank = ctx.ranks[number]
                if wanted[4 + 2 * number]:
                    g_factors[2 * number] = of_A[place, :rank]
                if wanted[5 + 2 * number]:
                    g_factors[2 * number + 1] = of_B[place, :rank].t() * ctx.scalings[number]
        return g if wanted[0] else None, g_x, None, None, *g_factors


def equal_spans(spans: Sequence[Span]) -> list[tuple[int, int, list[int]]]:
    """First row, the one after the last, and numbers of neighbours that have equally many rows."""
    groups: list[tuple[int, int, list[int]]] = []
    for number, (start, end) in enumerate(spans):
        if groups and groups[-1][1] == start:
            first, _, some = groups[-1]
            if (start - first) // len(some) == end - start:
                groups[-1] = first, end, [*some, number]
                continue
        groups.append((start, end, [number]))
    return groups


def stacked(
    factors: Sequence[Tensor], scalings: Sequence[float], some: Sequence[int], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """A (G, r, in) and s B' (G, r, out) of these branches, r the largest of their ranks."""
    own = [(factors[2 * number], factors[2 * number + 1], scalings[number]) for number in some]
    rank = max(len(A) for A, _, _ in own)
    As = factors[0].new_zeros(len(own), rank, own[0][0].shape[1], dtype=dtype)
    Bs = factors[0].new_zeros(len(own), rank, len(own[0][1]), dtype=dtype)
    for place, (A, B, s) in enumerate(own):
        As[place, : len(A)] = A
        torch.mul(B.t(), s, out=Bs[place, : len(A)])
    return As, Bs
