"""Which rank was enough? One trained adapter, cut to every lower rank and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from loraexp.adapters.algebra import LowRankChange, cutting
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.lora import LowRank
from loraexp.model.classifier import GPT2Classifier
from loraexp.runs.load import load_run, own_data
from loraexp.training.measure import Evaluator


@dataclass(frozen=True)
class Cut:
    """The adapter at one rank.

    Args:
        error: share of the update that is lost, by Frobenius norm.
        accuracy, loss: of the validation texts, n of them.
    """

    rank: int
    error: float
    accuracy: float
    loss: float | None
    n: int

    @property
    def standard_error(self) -> float:
        """Of the accuracy, binomial over the texts."""
        return (self.accuracy * (1 - self.accuracy) / self.n) ** 0.5


@dataclass(frozen=True)
class RankCurve:
    """All ranks from 1 to that of the trained change, and what to take.

    Args:
        enough: the smallest rank within one standard error of the best (Breiman et al. 1984,
            section 3.4.3), by validation.
        test_accuracy: of that rank, on the test texts; nothing else reads them.
        nested: the ranks are those that were trained (dylora), not the closest change of each.
    """

    cuts: list[Cut]
    enough: int
    test_accuracy: float
    nested: bool


def rank_curve(run: Path) -> RankCurve:
    """Cut a run's adapter to every rank and measure each on the validation texts.

    The ranks are those of the change itself: pissa and olora, which take their start away again,
    change the weight by factors of 2r, so their curve goes to twice `lora.rank`. Where the first
    ranks were trained to do without the others (dylora), they are what is kept.

    Raises:
        UserError: a run that cannot be restored, or whose method has no ranks to cut.
    """
    model = load_run(run)
    cut_to, most, nested = cutting(model.network)
    evaluator = Evaluator(model, own_data(run, model.config))

    def measure(rank: int, split: str) -> tuple[float, dict[str, Any]]:
        cut = cut_to(rank)
        put(model.network, cut.change)
        return cut.error, evaluator.measure(split).metrics

    cuts = []
    for rank in range(1, most + 1):
        error, scores = measure(rank, "validation")
        cuts.append(Cut(rank, error, scores["accuracy"], scores["loss"], scores["n"]))
    enough = smallest(cuts)
    _, test = measure(enough, "test")
    return RankCurve(cuts, enough, test["accuracy"], nested)


def smallest(cuts: list[Cut]) -> int:
    """The smallest rank whose accuracy is within one standard error of the best one's."""
    best = max(cuts, key=lambda cut: cut.accuracy)
    floor = best.accuracy - best.standard_error
    return min(cut.rank for cut in cuts if cut.accuracy >= floor)


@torch.no_grad()
def put(network: GPT2Classifier, change: Mapping[str, LowRankChange]) -> None:
    """Give every adapted layer this change in place of its own."""
    for name, part in change.items():
        module = network.get_submodule(name)
        assert isinstance(module, Adapted)
        branch = LowRank(part.A.float(), part.B.float(), scaling=1.0, dropout=0.0)
        network.set_submodule(name, Adapted(module.base, branch.to(module.base.weight.device)))
