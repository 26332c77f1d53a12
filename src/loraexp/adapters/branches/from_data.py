"""LoRA that starts from what the first batches say: LoRA-GA's gradient, EVA's inputs."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.from_start import FromStart, padded
from loraexp.adapters.branches.lora import LowRank
from loraexp.config.schema import Adaptation


class LoraGa(FromStart):
    """FromStart, whose A0 and B0 are singular vectors of the weight's gradient U S V': A0 = c V_r',
    B0 = c U_2r, the r columns after the first r, with c = out^(1/4) / 16^(1/2), the stable scale
    (Wang et al. 2024, "LoRA-GA", the section on their method, and their code). PEFT has A0
    without c, and B0 times its singular values.

    Until it is given a gradient it is plain LoRA, with A0 = A and B0 = 0.
    """

    needs: ClassVar[str | None] = "gradient"
    GAMMA: ClassVar[float] = 16.0

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        LowRank.start(self, base, config, generator)
        self.start_at(self.lora_B, self.lora_A)

    def start_from(self, found: Tensor) -> None:
        rank, scale = len(self.lora_A), len(found) ** 0.25 / self.GAMMA**0.5
        U, _, V = torch.linalg.svd(found, full_matrices=False)
        A, B = padded(V[:rank], rank, 0) * scale, padded(U[:, rank : 2 * rank], rank, 1) * scale
        self.start_at(B, A)


class Eva(LowRank):
    """LoRA whose A starts as the r right singular vectors of the layer's inputs with the largest
    singular values, not centred; B at zero (Paischer et al. 2024, "EVA", section 3). Every layer
    keeps its rank: the paper also hands ranks from one to another, and so does PEFT.

    Until it is given inputs it is plain LoRA.
    """

    needs: ClassVar[str | None] = "inputs"

    def start_from(self, found: Tensor) -> None:
        rank = len(self.lora_A)
        _, vectors = torch.linalg.eigh(found)  # ascending
        self.lora_A.copy_(padded(vectors.flip(1)[:, :rank].t(), rank, 0))
