"""GPT-2 as a language model: the next token's logits through the tied embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.model.gpt2 import GPT2
from loraexp.model.packing import Packing


class GPT2Language(GPT2):
    """Token ids to next-token logits; the output matrix is the embedding (no bias)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B * T, vocab_size), in the compute dtype."""
        B, T = tokens.shape
        packing = Packing.of(torch.full_like(tokens[:, 0], T), T)
        hidden = self.hidden(tokens, packing)[: B * T]  # (B T, d)
        dtype = self.execution.dtype or hidden.dtype
        return F.linear(hidden.to(dtype), self.wte.weight.to(dtype))
