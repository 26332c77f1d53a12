"""Orthogonal fine-tuning: the input is rotated before the base sees it."""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch
from loraexp.adapters.sizes import blocks
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class Oft(Branch):
    """W R' x + b, R of blocks (r, r) on its diagonal, each the rotation that Cayley's transform
    makes of a skew-symmetric Q: R = (I - Q) (I + Q)^-1 (Qiu et al. 2023, "Controlling Text-to-Image
    Diffusion by Orthogonal Finetuning", section 3.3, eq. 3, whose Q is -Q here).

    `lora.rank` is the size of a block: PEFT's oft_block_size, with use_cayley_neumann=False, for
    the inverse is a true one here and lengths are kept to rounding. As in PEFT the input is
    rotated, not the weight, so that the base's product runs again: y is of the plain input.

    Args:
        oft_R: (in / r, r (r - 1) / 2) what is above the diagonal of each Q, by rows; starts at
            zero.
    """

    additive: ClassVar[bool] = False
    has_factors: ClassVar[bool] = False
    moves_first: ClassVar[tuple[str, ...]] = ("oft_R",)

    def __init__(self, oft_R: Tensor, size: int) -> None:
        super().__init__()
        self.oft_R, self.size = nn.Parameter(oft_R), size

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already: nothing is drawn."""
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        shape = blocks(base.in_features, target), target.rank * (target.rank - 1) // 2
        return cls(base.weight.new_zeros(shape, dtype=kind), target.rank)

    def rotations(self, above: Tensor) -> Tensor:
        """(in / r, r, r), of what is above the diagonals."""
        rows, columns = torch.triu_indices(self.size, self.size, 1, device=above.device)
        Q = above.new_zeros(len(above), self.size, self.size)
        Q[:, rows, columns] = above
        Q = Q - Q.transpose(1, 2)
        one = torch.eye(self.size, dtype=above.dtype, device=above.device)
        return torch.linalg.solve(one + Q, one - Q, left=False)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        R = self.rotations(self.oft_R).to(x.dtype)
        parts = x.reshape(-1, len(R), self.size).transpose(0, 1)  # (in / r, n, r)
        out: Tensor = base(torch.bmm(parts, R).transpose(0, 1).reshape(x.shape))
        return out

    def delta(self, weight: Tensor) -> Tensor:
        R = self.rotations(self.oft_R.detach().double())
        parts = weight.double().view(len(weight), len(R), self.size)  # (out, in / r, r)
        return torch.einsum("obj,bij->obi", parts, R).reshape(weight.shape) - weight.double()
