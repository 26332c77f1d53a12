"""LoRA whose ranks are nested: each step trains the first few of them, as if there were no more."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import SCALINGS, Controller
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import TrainConfig


class Dylora(LowRank):
    """y + s_b dropout(x) A_b' B_b' with A_b the first b rows of A and B_b the first b columns of B,
    s_b what `lora.scaling` makes of alpha and b; b is drawn anew for each step from 1, ..., r, each
    as likely, the same for all layers of one rank (Valipour et al. 2022, "DyLoRA", the section on
    their method; not its variant that trains the b-th alone). When not training b is r: LoRA.

    Args:
        gate: (r,) s_b / s_r b times, then zeros: what is beyond b is computed, and adds nothing.
    """

    nested: ClassVar[bool] = True
    gate: Tensor
    scaled: Callable[[int], float]

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        self.register_buffer("gate", torch.ones_like(lora_A[:, 0]), persistent=False)

    @classmethod
    def empty(cls, base: nn.Linear, config: Any, target: Target) -> Self:
        branch, rule = super().empty(base, config, target), SCALINGS[config.lora.scaling]
        branch.scaled = lambda rank: rule(target.alpha, rank)
        return branch

    def down(self) -> Tensor:
        return self.gate[:, None] * self.lora_A if self.training else self.lora_A

    def train_first(self, rank: int) -> None:
        """b, until the next call."""
        self.gate.zero_()
        self.gate[:rank] = self.scaled(rank) / self.scaling

    def first(self, rank: int) -> tuple[Tensor, Tensor, float]:
        A, B, _ = self.factors()
        rank = min(rank, len(A))
        return A[:rank], B[:, :rank], self.scaled(rank)

    @classmethod
    def controller(cls, branches: Mapping[str, Self], config: TrainConfig) -> "RankDraws":
        return RankDraws(branches, config.seed)


class RankDraws(Controller):
    """Which ranks each step trains: of seed and step alone, so the same alone, in a pack and after
    a resume."""

    def __init__(self, branches: Mapping[str, Dylora], seed: int) -> None:
        self.branches, self.seed = branches, seed
        self.after_step(0, 0)

    def after_step(self, step: int, steps: int) -> None:
        self.step, bits = step, np.random.PCG64([self.seed, step]).random_raw()
        for branch in self.branches.values():
            branch.train_first(1 + (bits >> 11) * len(branch.gate) // 2**53)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.after_step(state_dict["step"], 0)
