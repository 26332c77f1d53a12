"""What `make base-report` measures at length, with fewer seeds and epochs: the base is worth it."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from loraexp.api import configure
from loraexp.training.run import train

Accuracy = Callable[..., float]


@pytest.fixture
def accuracy(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accuracy:
    """On the real messages, of the mean over some seeds."""
    monkeypatch.setenv("LORAEXP_DATA_DIR", str(real_data))
    shared = (
        *("data=sms_spam", "logger=none", f"output_dir={tmp_path}", "data.batch_size=16"),
        *("head.pooling=mean", "lora.target_modules=all-linear", "optim.schedule=cosine"),
        *("optim.lr=4e-3", "trainer.keep=last"),
    )

    def measured(seeds: range, *overrides: str) -> float:
        runs = [train(configure(*shared, *overrides, f"seed={seed}")) for seed in seeds]
        return mean(run.metrics["test"]["accuracy"] for run in runs)

    return measured


CONTROL = ("model.weights=random", "model.tokenizer=embedded")


@pytest.mark.slow
def test_lora_learns_more_from_the_base_than_from_random_weights_of_some_texts(
    accuracy: Accuracy,
) -> None:
    """Here the distance is larger than at length: random weights need the texts more."""
    some = ("data.limit=480", "trainer.max_epochs=1")
    pretrained = accuracy(range(1), *some)
    assert pretrained > 0.91
    assert pretrained - accuracy(range(1), *some, *CONTROL) > 0.02


@pytest.mark.slow
def test_lora_learns_more_from_the_base_than_from_random_weights(accuracy: Accuracy) -> None:
    """LoRA beats the same training on the same geometry with random weights (the control) by more
    than what the seeds and a message or two explain."""
    pretrained = accuracy(range(2), "trainer.max_epochs=2")
    assert pretrained > 0.94
    assert pretrained - accuracy(range(2), "trainer.max_epochs=2", *CONTROL) > 0.01
