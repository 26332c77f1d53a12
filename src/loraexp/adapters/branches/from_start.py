"""LoRA that starts from factors of the weight: PiSSA's singular vectors, OLoRA's QR."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation


class FromStart(LowRank):
    """y + s dropout(x) (A' B' - A0' B0'): LoRA that starts at A0, B0 taken from the weight.

    PiSSA (Meng et al. 2024, section 3): with W = U S V', B0 = U_r sqrt(S_r / s), A0 = sqrt(S_r / s)
    V_r'. OLoRA (Buyukakyuz 2024, section 3): with W = Q R, B0 = Q_r, A0 = R_r.
    Both papers, and PEFT, take s B0 A0 out of the frozen weight instead, which rounds it; here the
    base stays as it is, and a fresh branch adds exactly zero. Without dropout the two are equal.
    Under it they are not: PEFT has W x - s B0 A0 x + s B A dropout(x), the start's part in the
    weight and so not dropped, and a fresh branch is noise there; here both parts see the same
    dropped input, and a fresh branch adds exactly zero while training too.

    Args:
        start_A: (r, in), start_B: (out, r): A0 and B0; frozen, and part of the adapter's file.
    """

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        self.start_A = nn.Parameter(lora_A.clone(), requires_grad=False)
        self.start_B = nn.Parameter(lora_B.clone(), requires_grad=False)

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        return super().empty(base, config, target).to(kind)

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        weight, rank = base.weight.detach().double(), len(self.lora_A)
        self.start_at(*FACTORS[config.lora.init](weight, rank, self.scaling))

    def start_at(self, B: Tensor, A: Tensor) -> None:
        for own, value in ((self.lora_A, A), (self.lora_B, B)):
            own.copy_(value)
        self.start_A.copy_(self.lora_A)
        self.start_B.copy_(self.lora_B)

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        x = self.dropout(x)
        now, then = (
            F.linear(F.linear(x, A.to(x.dtype)), B.to(x.dtype))
            for A, B in ((self.lora_A, self.lora_B), (self.start_A, self.start_B))
        )
        return y + self.scaling * (now - then)  # exactly y as long as A = A0 and B = B0

    def delta(self, weight: Tensor) -> Tensor:
        start = self.start_B.double() @ self.start_A.double()
        return self.scaling * (self.lora_B.double() @ self.lora_A.double() - start)

    def factors(self) -> tuple[Tensor, Tensor, float]:
        """Rank 2r: [A; A0] and [B, -B0]."""
        A, B, s = super().factors()
        start_A, start_B = self.start_A.detach().double(), self.start_B.detach().double()
        return torch.cat([A, start_A]), torch.cat([B, -start_B], dim=1), s


def pissa(weight: Tensor, rank: int, scaling: float) -> tuple[Tensor, Tensor]:
    """(out, r) and (r, in): the r largest singular values over s, their roots on both sides."""
    U, S, V = torch.linalg.svd(weight, full_matrices=False)
    roots = padded(S[:rank] / scaling, rank, 0).sqrt()
    return padded(U[:, :rank], rank, 1) * roots, roots[:, None] * padded(V[:rank], rank, 0)


def olora(weight: Tensor, rank: int, scaling: float) -> tuple[Tensor, Tensor]:
    """(out, r) and (r, in): the first r columns of Q and rows of R."""
    Q, R = torch.linalg.qr(weight)
    return padded(Q[:, :rank], rank, 1), padded(R[:rank], rank, 0)


def padded(tensor: Tensor, size: int, dim: int) -> Tensor:
    """With zeros where the weight has fewer than r directions."""
    lacking = size - tensor.shape[dim]
    if lacking <= 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = lacking
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)


FACTORS = {"pissa": pissa, "olora": olora}
