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
        return next_tokens(self, tokens)


def next_tokens(network: GPT2, tokens: Tensor) -> Tensor:
    """(B, T) -> (B * T, vocab_size) of any GPT-2, whatever head it has else."""
    B, T = tokens.shape
    packing = Packing.of(torch.full_like(tokens[:, 0], T), T)
    hidden = network.hidden(tokens, packing)[: B * T]  # (B T, d)
    dtype = network.execution.dtype or hidden.dtype
    return F.linear(hidden.to(dtype), network.wte.weight.to(dtype))
