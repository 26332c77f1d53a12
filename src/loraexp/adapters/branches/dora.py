"""Weight-decomposed low-rank adaptation: a direction and a magnitude."""

from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


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
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        plain = LowRank.empty(base, config, target)
        weight = base.weight.detach()
        squares = weight.to(torch.promote_types(weight.dtype, torch.float32)).square().sum(1)
        lora_A, lora_B = plain.lora_A.detach(), plain.lora_B.detach()
        return cls(lora_A, lora_B, plain.scaling, config.lora.dropout, squares)

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

    def magnitude(self) -> Tensor | None:
        return self.lora_magnitude_vector.detach().double()
