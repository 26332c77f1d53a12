"""Means over classes are over those that have a text; a score that is not defined is null."""

import math
import warnings
from typing import Any

import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from torch import Tensor, nn
from torchmetrics.classification import AUROC, F1Score, Precision, Recall

from loraexp.config.schema import TrainConfig
from loraexp.data.batching import Batch
from loraexp.errors import UserError
from loraexp.training.classifier_module import ClassifierModule

MACRO = {"f1": F1Score, "precision": Precision, "recall": Recall, "auroc": AUROC}
ORACLE = {"f1": f1_score, "precision": precision_score, "recall": recall_score}


class Told(nn.Module):
    """Logits as they are given, whatever the tokens."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.logits


def measured(logits: Tensor, classes: Tensor) -> dict[str, Any]:
    module = ClassifierModule(Told(logits), TrainConfig(), logits.shape[1])
    n = len(classes)
    module.eval_step(Batch(torch.zeros(n, 1, dtype=torch.long), torch.ones(n).long(), classes))
    return module.summary()


def drawn(n_classes: int, there: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    classes = torch.tensor(there)[torch.randint(len(there), (60,), generator=generator)]
    return torch.randn(60, n_classes, generator=generator), classes


@pytest.mark.parametrize("seed", range(5))
def test_with_every_class_there_scores_are_torchmetrics_macro_to_the_digit(seed: int) -> None:
    logits, classes = drawn(5, [*range(5)], seed)
    found = measured(logits, classes)
    for name, kind in MACRO.items():
        oracle = kind(task="multiclass", num_classes=5, average="macro")
        assert found[name] == float(oracle(logits.softmax(-1), classes)), name


@pytest.mark.parametrize("seed", range(5))
def test_an_absent_class_is_left_out_of_every_mean(seed: int) -> None:
    logits, classes = drawn(5, [0, 2, 3], seed)
    found, there = measured(logits, classes), [0, 2, 3]
    true, said = classes.tolist(), logits.argmax(-1).tolist()
    assert {1, 4} & {*said}  # it is predicted, which torchmetrics counts against the mean
    for name, oracle in ORACLE.items():
        wanted = oracle(true, said, labels=there, average="macro", zero_division=0)
        assert found[name] == pytest.approx(wanted, abs=1e-6), name
    probabilities = logits.softmax(-1)
    one_against_rest = [roc_auc_score(classes == c, probabilities[:, c]) for c in there]
    assert found["auroc"] == pytest.approx(sum(one_against_rest) / 3, abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        as_before = AUROC(task="multiclass", num_classes=5)(probabilities, classes)
    assert float(as_before) < found["auroc"]


@pytest.mark.parametrize("there", [[0, 1, 2], [0, 1], [1, 2]])
def test_a_perfect_classifier_gets_one(there: list[int]) -> None:
    _, classes = drawn(3, there)
    found = measured(10 * nn.functional.one_hot(classes, 3).float(), classes)
    assert {found[name] for name in (*MACRO, "accuracy")} == {1.0}


def test_of_one_class_auroc_is_null_and_the_rest_is_its_own() -> None:
    logits, classes = drawn(3, [1])
    found = measured(logits, classes)
    assert found["auroc"] is None
    assert found["recall"] == pytest.approx(found["accuracy"])


def test_of_two_classes_without_a_positive_text_its_scores_are_null() -> None:
    logits, classes = drawn(2, [0])
    found = measured(logits, classes)
    assert [found[name] for name in MACRO] == [None] * 4
    assert 0 < found["accuracy"] < 1
    both = measured(*drawn(2, [0, 1]))
    assert None not in both.values()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logits_that_are_not_finite_are_one_line(bad: float, n_classes: int) -> None:
    logits, classes = drawn(n_classes, [0, 1])
    logits[3, 1] = bad
    with pytest.raises(
        UserError,
        match=r"^the logits of validation texts are NaN or infinite; try "
        r"a lower optim\.lr \(it is 0\.001\) or trainer\.precision=fp32$",
    ):
        measured(logits, classes)
