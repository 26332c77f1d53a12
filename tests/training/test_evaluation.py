"""What a record keeps of each test text is what the adapter predicts, in the split's order."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from small import trained

from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.data.splits import load_data
from loraexp.inference.predictor import Predictor
from loraexp.runs.load import load_run
from loraexp.training import train_sample
from loraexp.training.measure import MISTAKES, Evaluation, Evaluator, measure_again
from loraexp.training.run import train


@pytest.fixture
def uneven(small: TrainConfig) -> TrainConfig:
    """Batches that do not divide the split, a model that is neither right nor wrong everywhere."""
    return replace(small, data=replace(small.data, limit=53, batch_size=3))


def test_predictions_are_the_predictors_in_the_splits_order(uneven: TrainConfig) -> None:
    record = trained(uneven)
    test = load_data(uneven.data).test
    predictor = Predictor(run_folder(uneven))
    kept = record.predictions["test"]
    assert kept["true"] == test.classes
    assert kept["predicted"] == predictor.probabilities(test.texts).argmax(-1).tolist()
    assert kept["predicted"] != sorted(kept["predicted"], reverse=True)  # an order can be wrong


def test_predictions_make_the_metrics_confusion(uneven: TrainConfig) -> None:
    record = trained(uneven)
    confusion = [[0, 0], [0, 0]]
    kept = record.predictions["test"]
    for true, predicted in zip(kept["true"], kept["predicted"], strict=True):
        confusion[true][predicted] += 1
    assert confusion == record.metrics["test"]["confusion"]


def test_mistakes_are_the_wrong_texts_with_their_chances(uneven: TrainConfig) -> None:
    record = trained(uneven)
    test = load_data(uneven.data).test
    probabilities = Predictor(run_folder(uneven)).probabilities(test.texts).max(-1).values
    kept = record.predictions["test"]
    rows = zip(test.texts, kept["true"], kept["predicted"], probabilities.tolist(), strict=True)
    wrong = {
        text: (true, said, probability) for text, true, said, probability in rows if true != said
    }
    assert len(record.mistakes) == min(MISTAKES, len(wrong)) > 0
    for mistake in record.mistakes:
        true, said, chance = wrong[str(mistake["text"])]
        assert (mistake["true"], mistake["predicted"]) == (true, said)
        assert mistake["chance"] == pytest.approx(chance, abs=1e-6)


def test_limited_batches_keep_the_texts_that_were_measured(uneven: TrainConfig) -> None:
    uneven.trainer.limit_batches = 2
    record = train(uneven)
    test = load_data(uneven.data).test
    assert len(record.predictions["test"]["true"]) == record.metrics["test"]["n"] < len(test)


def test_train_metrics_of_a_sample_are_of_its_texts(
    uneven: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_sample, "LEAST", 1)
    uneven.trainer.max_epochs = 1
    record = train(uneven)
    data = load_data(uneven.data)
    sample = train_sample.train_sample(uneven, data, Fraction(0))
    assert sample is not None
    train_texts = data.train.only(sample)
    probabilities = Predictor(run_folder(uneven)).probabilities(train_texts.texts)
    confusion = [[0, 0], [0, 0]]
    for true, predicted in zip(train_texts.classes, probabilities.argmax(-1).tolist(), strict=True):
        confusion[true][predicted] += 1
    assert record.metrics["train"]["n"] == len(sample) < len(data.train)
    assert record.metrics["train"]["confusion"] == confusion
    made = load_run(run_folder(uneven))
    found = Evaluator(made, data).measure("train")
    assert found.places == sample
    assert found.true == train_texts.classes
    assert found.metrics == record.metrics["train"] == measure_again(run_folder(uneven), "train")


def test_mistakes_come_most_confident_first_and_no_more_than_twenty() -> None:
    probabilities = torch.tensor([[0.5 + i / 100, 0.5 - i / 100] for i in range(1, 41)])
    right_too = Evaluation({}, list(range(40)), [i % 2 for i in range(40)], probabilities)
    mistakes = right_too.mistakes([f"text {i}" for i in range(40)])
    assert [mistake["text"] for mistake in mistakes] == [f"text {i}" for i in range(39, 0, -2)]
    assert len(mistakes) == MISTAKES
    assert Evaluation({}, [0], [0], probabilities[:1]).mistakes(["right"]) == []
