"""Shards of the input that share one small matrix."""

from typing import Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class Miss(LowRank):
    """y + B sum_i x_i, with x_i the shards of r inputs each, the last one filled up with zeros
    (Kang and Yin 2024, "MiSS", section 4.2, eq. 7). That is LoRA whose lora_A is identities side by
    side, frozen and in no file, with a scaling of 1: alpha and scaling have no part in it, as in
    PEFT, whose miss_block is B'.

    Args:
        lora_B: (out, r); starts at zero.
    """

    lora_A: Tensor  # type: ignore[assignment]

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        del self.lora_A
        self.register_buffer("lora_A", lora_A, persistent=False)

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already: nothing is drawn."""
        rank, device = target.rank, base.weight.device
        tiles = torch.zeros(rank, base.in_features, device=device)
        places = torch.arange(base.in_features, device=device)
        tiles[places % rank, places] = 1.0
        lora_B = torch.zeros(base.out_features, rank, device=device)
        return cls(tiles, lora_B, 1.0, config.lora.dropout)

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        pass
