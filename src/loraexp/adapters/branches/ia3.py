"""Vectors that scale activations, and nothing beside them."""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class Ia3(Branch):
    """l * (W x + b), and of the MLP's second layer W (l * x) + b (Liu et al. 2022, "Few-Shot
    Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", section 3.3).

    As PEFT's, whose `feedforward_modules` is fc2 here. Where the input is scaled, the base's
    product runs again: y is of the plain input.

    Args:
        ia3_l: l, (out,) or, of fc2, (in,); starts at ones.
    """

    additive: ClassVar[bool] = False
    has_factors: ClassVar[bool] = False
    moves_first: ClassVar[tuple[str, ...]] = ("ia3_l",)
    has_rank: ClassVar[bool] = False

    def __init__(self, ia3_l: Tensor, scales_input: bool) -> None:
        super().__init__()
        self.ia3_l, self.scales_input = nn.Parameter(ia3_l), scales_input

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already: there is nothing to draw."""
        size = base.in_features if target.closes_mlp else base.out_features
        return cls(torch.ones(size, device=base.weight.device), target.closes_mlp)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        if not self.scales_input:
            return y * self.ia3_l.to(y.dtype)
        out: Tensor = base(x * self.ia3_l.to(x.dtype))
        return out

    def delta(self, weight: Tensor) -> Tensor:
        less_one = self.ia3_l.double() - 1
        return weight.double() * (less_one if self.scales_input else less_one[:, None])

    def merged_bias(self, bias: Tensor) -> Tensor:
        return bias if self.scales_input else (bias.double() * self.ia3_l.double()).to(bias.dtype)
