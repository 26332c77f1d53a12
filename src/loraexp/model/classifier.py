"""GPT-2 with a classification head."""

import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.config.schema import Head, Model
from loraexp.model.gpt2 import GPT2, Linear
from loraexp.model.packing import WIDTHS, Packing


class GPT2Classifier(GPT2):
    """GPT-2 and a linear head on one pooled vector a text: (B, T) and (B,) to logits (B, C)."""

    def __init__(self, config: Model, head: Head, n_classes: int) -> None:
        super().__init__(config)
        self.pooling = head.pooling
        self.score = Linear(config.d_model, n_classes, bias=head.bias)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, C) for token ids (B, T) of which the first `lengths` (B,) a row are real.

        Padding is left out of all that follows, unless pooling asks for its state. Texts without a
        token count as one token long: they are pooled at their first padding.
        """
        return self.score(self.pooled(tokens, lengths, self.pooling))

    def pooled(self, tokens: Tensor, lengths: Tensor | None, pooling: str) -> Tensor:
        """One vector a text (B, d)."""
        tokens, packing, last = self.packed(tokens, lengths, pooling)
        states = self.hidden(tokens, packing, last)
        return packing.mean(states) if last is None else states

    def packed(
        self, tokens: Tensor, lengths: Tensor | None, pooling: str
    ) -> tuple[Tensor, Packing, Tensor | None]:
        """Tokens with room at the end, where they stand, and the row (B,) that stands for each
        text; None where all of its rows do."""
        T = tokens.shape[1]
        if lengths is None or pooling == "last_position":
            lengths = torch.full_like(tokens[:, 0], T)
        tokens = F.pad(tokens, (0, min(-T % WIDTHS, self.config.context - T)))
        packing = Packing.of(lengths.clamp(min=1), tokens.shape[1])
        return tokens, packing, None if pooling == "mean" else packing.pooled_at(pooling)


def empty_classifier(config: Model, head: Head, n_classes: int) -> GPT2Classifier:
    """Shapes only, on the meta device: enough to count, no memory taken."""
    with torch.device("meta"):
        return GPT2Classifier(config, head, n_classes)
