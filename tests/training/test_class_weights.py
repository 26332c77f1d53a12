"""Texts weigh in the training loss as optim.class_weights says, and in nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from small import small_run, trained

from loraexp.api import configure
from loraexp.config.rules import check
from loraexp.config.schema import TrainConfig
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.sweeps.plan import TRAIN, plan
from loraexp.training.class_weights import WeightedLoss, class_weights
from loraexp.training.classifier_module import ClassifierModule

LABELS = ("ham", "spam", "eggs")


@pytest.mark.parametrize("seed", range(3))
def test_balanced_is_what_scikit_learn_calls_so(seed: int) -> None:
    classes = np.random.default_rng(seed).choice(3, size=50, p=[0.7, 0.2, 0.1])
    wanted = compute_class_weight("balanced", classes=np.unique(classes), y=classes)
    found = class_weights("balanced", LABELS, classes.tolist())
    assert found is not None
    assert found.tolist() == pytest.approx([*wanted])
    absent = class_weights("balanced", (*LABELS, "none"), classes.tolist())
    assert absent is not None
    assert absent.tolist() == pytest.approx([*wanted, 1])


def test_classes_that_are_not_named_weigh_1_and_an_unknown_one_is_told() -> None:
    found = class_weights({"spam": 3}, LABELS, [0, 1])
    assert found is not None
    assert found.tolist() == [1, 3, 1]
    assert class_weights(None, LABELS, [0]) is None
    with pytest.raises(UserError, match=r"^unknown class in optim.class_weights 'spm'; did you"):
        class_weights({"spm": 3}, LABELS, [0])


def test_the_loss_of_a_batch_is_torchs_weighted_one() -> None:
    torch.manual_seed(0)
    logits, classes = torch.randn(8, 3), torch.randint(3, (8,))
    weights = torch.tensor([1.0, 3.0, 0.5])
    loss = WeightedLoss(weights)(logits, classes)
    assert loss.equal(F.cross_entropy(logits, classes, weight=weights))
    assert not loss.equal(F.cross_entropy(logits, classes))
    assert WeightedLoss()(logits, classes).equal(F.cross_entropy(logits, classes))


def test_the_mean_over_processes_is_the_loss_of_all_their_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    logits, classes, weights = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 2, 1]), [1.0, 3.0, 0.5]
    loss = WeightedLoss(torch.tensor(weights))
    halves = [(logits[:3], classes[:3]), (logits[3:], classes[3:])]
    whole = torch.tensor([weights[c] for c in classes]).sum()
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.copy_(whole))
    parts = [loss.share(own, 2) * loss(out, own) for out, own in halves]
    wanted = F.cross_entropy(logits, classes, weight=loss.weights)
    assert float(sum(parts)) / 2 == pytest.approx(float(wanted))
    assert float(sum(loss(*half) for half in halves)) / 2 != pytest.approx(float(wanted))


def weighted(config: TrainConfig, asked: Any) -> TrainConfig:
    return replace(config, optim=replace(config.optim, class_weights=asked))


def test_a_run_with_weights_is_another_its_losses_are_measured_without(small: TrainConfig) -> None:
    record, plain = trained(weighted(small, {"spam": 9})), trained(small)
    assert record.config["optim"]["class_weights"] == {"spam": 9}
    assert record.name != plain.name
    assert record.hashes["adapter"] != plain.hashes["adapter"]
    confusion = [torch.tensor(r.metrics["test"]["confusion"]) for r in (record, plain)]
    assert confusion[0][:, 1].sum() > confusion[1][:, 1].sum()  # more texts are called spam
    data = load_data(small.data)
    equal = dict.fromkeys(data.labels, 1)
    assert trained(weighted(small, equal)).hashes["adapter"] == plain.hashes["adapter"]
    module = ClassifierModule(torch.nn.Identity(), small, 2, weights=torch.tensor([1.0, 9.0]))
    assert "training_loss.weights" not in module.state_dict()


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("balanced", "balanced"),
        ("{spam:3}", {"spam": 3}),
        ("{spam:3,ham:0.5}", {"spam": 3, "ham": 0.5}),
        ("{1:3,2:1}", {"1": 3, "2": 1}),
        ("{very good:2}", {"very good": 2}),
        ("null", None),
    ],
)
def test_weights_are_read_as_they_are_typed(typed: str, wanted: Any) -> None:
    assert configure(f"optim.class_weights={typed}").optim.class_weights == wanted


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("even", "must be balanced or like {spam:3}, got 'even'"),
        ({}, "must be balanced or like {spam:3}, got {}"),
        ({"spam": 0}, ".spam must be above 0, got 0"),
        ({"spam": "x"}, ".spam must be a number, got 'x'"),
        ({"spam": True}, ".spam must be a number, got True"),
    ],
)
def test_other_weights_are_refused(asked: Any, why: str, tmp_path: Any) -> None:
    with pytest.raises(UserError) as error:
        check(weighted(small_run(tmp_path, 1, "none"), asked))
    assert str(error.value) == f"optim.class_weights{'' if why[0] == '.' else ' '}{why}"


def test_a_sweep_over_weights_has_a_run_for_each() -> None:
    typed = ["optim.class_weights=null,balanced,{spam:3},{ham:2}", "-m"]
    found = [job.optim.class_weights for job in plan(TRAIN, typed).jobs]
    assert found == [None, "balanced", {"spam": 3}, {"ham": 2}]
