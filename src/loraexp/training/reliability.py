"""How far probabilities can be believed, as a metric: summed up batch by batch in bins."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

BINS = 15


class Reliability(Metric):
    """Calibration of the class that is predicted, whatever the number of classes: its expected
    calibration error over 15 bins of equal width, open below and closed above (Guo et al. 2017,
    arXiv 1706.04599), and the Brier score, summed over the classes: 0 to 2 (Brier 1950).

    torchmetrics' error of two classes is another one: of the second class, predicted or not.
    """

    full_state_update = False
    bins: Tensor
    squares: Tensor

    def __init__(self) -> None:
        super().__init__()
        # A row a bin: texts, those that are right, the sum of their confidence.
        self.add_state("bins", torch.zeros(BINS, 3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, classes: Tensor) -> None:
        """
        Args:
            probabilities: (B, C), of every class.
            classes: (B,) the true ones.
        """
        probabilities = probabilities.double()
        confidence, predicted = probabilities.max(-1)  # (B,)
        edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64, device=self.bins.device)
        place = torch.bucketize(confidence, edges[1:-1])  # (B,), 0 to BINS - 1
        right = (predicted == classes).double()
        self.bins.index_add_(
            0, place, torch.stack([right.new_ones(len(right)), right, confidence], 1)
        )
        # Of a text: the sum over the classes of (p - 1 if it is the true one)^2.
        own = probabilities.gather(1, classes[:, None])[:, 0]  # (B,)
        self.squares += (probabilities.square().sum(-1) - 2 * own + 1).sum()

    def compute(self) -> dict[str, Any]:
        """ece, brier, and the bins: a row each of texts, those right, sum of their confidence."""
        n, right, confidence = self.bins.unbind(1)
        return {
            "ece": (right - confidence).abs().sum() / n.sum(),
            "brier": self.squares / n.sum(),
            "bins": [[round(a), round(b), c] for a, b, c in self.bins.tolist()],
        }
