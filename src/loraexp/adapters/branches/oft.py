"""Orthogonal fine-tuning: the input is rotated before the base sees it."""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch
from loraexp.adapters.methods import pairs
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class Oft(Branch):
    """W (x R) + b, R of blocks (r, r) on its diagonal, each a rotation by Cayley's transform of a
    skew-symmetric Q: R = (I - Q) (I + Q)^-1 (Qiu et al. 2023, "Controlling Text-to-Image Diffusion
    by Orthogonal Finetuning", section 3.3; input-centred as in Qiu et al. 2025, "OFTv2", and PEFT).

    `lora.rank` is the size of a block, PEFT's oft_block_size; its use_cayley_neumann is false here:
    the inverse is exact, so that lengths are kept to rounding. The base's product runs again, for y
    is of the plain input.

    Args:
        oft_R: (in / r, r (r - 1) / 2) the upper triangle of each Q, by rows; starts at zero.
    """

    additive: ClassVar[bool] = False
    moves_first: ClassVar[tuple[str, ...]] = ("oft_R",)

    def __init__(self, oft_R: Tensor, size: int) -> None:
        super().__init__()
        self.oft_R, self.size = nn.Parameter(oft_R), size

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already: nothing is drawn."""
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        count = pairs(base.in_features, target) * 2 // (target.rank * max(1, target.rank - 1))
        shape = count, target.rank * (target.rank - 1) // 2
        return cls(torch.zeros(shape, dtype=kind, device=base.weight.device), target.rank)

    def rotations(self, upper: Tensor) -> Tensor:
        """(in / r, r, r), of the upper triangles."""
        rows, columns = torch.triu_indices(self.size, self.size, 1, device=upper.device)
        Q = upper.new_zeros(len(upper), self.size, self.size)
        Q[:, rows, columns] = upper
        Q = Q - Q.transpose(1, 2)
        one = torch.eye(self.size, dtype=upper.dtype, device=upper.device).expand_as(Q)
        return torch.linalg.solve(one + Q, one - Q, left=False)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        R = self.rotations(self.oft_R).to(x.dtype)
        blocks = x.reshape(-1, len(R), self.size).transpose(0, 1)  # (in / r, n, r)
        out: Tensor = base(torch.bmm(blocks, R).transpose(0, 1).reshape(x.shape))
        return out

    def delta(self, weight: Tensor) -> Tensor:
        R = self.rotations(self.oft_R.detach().double())
        blocks = weight.double().view(len(weight), len(R), self.size)  # (out, in / r, r)
        return torch.einsum("obj,bij->obi", blocks, R).reshape(weight.shape) - weight.double()
