"""What a text of each class weighs in the training loss."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.config.rules import BALANCED
from loraexp.errors import unknown


def class_weights(asked: Any, labels: Sequence[str], classes: Sequence[int]) -> Tensor | None:
    """(C,) as optim.class_weights asks; None where it asks for none.

    Balanced are n / (C n_c) of n texts of C classes, n_c of them of class c, as scikit-learn's
    compute_class_weight has it: all classes then weigh alike. Of a class without a text it is 1.

    Args:
        asked: of optim.class_weights. classes: of the training texts.

    Raises:
        UserError: a class that there is not.
    """
    if asked is None:
        return None
    if asked == BALANCED:
        there = Counter(classes)
        return torch.tensor(
            [
                len(classes) / (len(there) * there[number]) if there[number] else 1.0
                for number in range(len(labels))
            ]
        )
    for label in asked:
        if label not in labels:
            raise unknown("class in optim.class_weights", label, labels)
    return torch.tensor([float(asked.get(label, 1)) for label in labels])


class WeightedLoss(nn.Module):
    """Cross-entropy of a batch: sum of w l over sum of w, of losses l and weights w of its texts.

    Args:
        weights: (C,); None: all weigh alike.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:  # (B, C), (B,) -> ()
        return F.cross_entropy(logits, classes, weight=self.weights)

    def share(self, classes: Tensor, processes: int) -> Tensor | float:
        """By what one of several processes multiplies its loss, so that the mean of their gradients
        is that of the loss over the texts of all."""
        if self.weights is None or processes == 1:
            return 1.0
        own = self.weights[classes].sum()
        whole = own.clone()
        torch.distributed.all_reduce(whole)
        return processes * own / whole
