"""Calibration is torchmetrics', the Brier score scikit-learn's, on probabilities of any kind."""

import pytest
import torch
from sklearn.metrics import brier_score_loss
from torch import Tensor
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

from loraexp.training.reliability import BINS, Reliability


def drawn(n_classes: int, scale: float = 2.0, n: int = 300) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n_classes)
    logits = scale * torch.randn(n, n_classes, generator=generator)
    return logits.softmax(-1), torch.randint(n_classes, (n,), generator=generator)


def measured(probabilities: Tensor, classes: Tensor, batch: int = 1000) -> Reliability:
    metric = Reliability()
    for some in zip(probabilities.split(batch), classes.split(batch), strict=True):
        metric.update(*some)
    return metric


@pytest.mark.parametrize("n_classes", [2, 3, 77])
def test_it_is_the_error_that_torchmetrics_finds_and_scikit_learns_brier_score(
    n_classes: int,
) -> None:
    probabilities, classes = drawn(n_classes)
    found = measured(probabilities, classes).compute()
    oracle = MulticlassCalibrationError(n_classes, n_bins=BINS, norm="l1")
    assert float(found["ece"]) == pytest.approx(float(oracle(probabilities, classes)), rel=1e-5)
    exact = probabilities.double() / probabilities.double().sum(-1, keepdim=True)
    brier = brier_score_loss(classes, exact, labels=range(n_classes), scale_by_half=False)
    assert float(found["brier"]) == pytest.approx(brier, rel=1e-6)


def test_of_two_classes_it_is_of_the_predicted_one_not_of_the_second() -> None:
    """Nine in ten of what it is sure of is right; its errors are all of the second class."""
    probabilities = torch.tensor([[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10)
    classes = torch.tensor([0] * 10 + [1] * 8 + [0] * 2)
    assert float(measured(probabilities, classes).compute()["ece"]) == pytest.approx(0, abs=1e-7)
    of_second = BinaryCalibrationError(n_bins=BINS, norm="l1")(probabilities[:, 1], classes)
    assert float(of_second) == pytest.approx(0.1)


def test_batches_and_processes_add_up() -> None:
    probabilities, classes = drawn(5)
    whole = measured(probabilities, classes).compute()
    assert measured(probabilities, classes, 7).compute()["ece"] == pytest.approx(whole["ece"])
    parts = [measured(probabilities[at::2], classes[at::2]) for at in (0, 1)]
    parts[0].bins += parts[1].bins
    parts[0].squares += parts[1].squares
    assert parts[0].compute()["brier"] == pytest.approx(whole["brier"])
    assert parts[1].compute()["brier"] != pytest.approx(whole["brier"])


def test_probabilities_that_come_true_have_no_error_and_boasts_have_theirs() -> None:
    classes = torch.tensor([0, 0, 0, 1])
    honest, boast = (torch.tensor([[p, 1 - p]] * 4) for p in (0.75, 0.95))
    assert float(measured(honest, classes).compute()["ece"]) == pytest.approx(0, abs=1e-7)
    assert float(measured(boast, classes).compute()["ece"]) == pytest.approx(0.2)


def test_a_bin_ends_with_its_upper_edge() -> None:
    edge = 2 / 3  # of ten bins of fifteen
    probabilities = torch.tensor([[edge, 1 - edge], [edge + 1e-9, 1 - edge]], dtype=torch.float64)
    bins = measured(probabilities, torch.tensor([0, 1])).compute()["bins"]
    assert [row[:2] for row in bins[9:11]] == [[1, 1], [1, 0]]
    assert sum(n for n, _, _ in bins) == 2
