"""What `make base-report` measures at length, with fewer seeds and epochs: the base is worth it."""

from pathlib import Path
from statistics import mean

import pytest

from loraexp.api import configure
from loraexp.training.run import train

SEEDS = (0, 1)


def test_lora_learns_more_from_the_base_than_from_random_weights(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real messages LoRA beats the same training on the same geometry with random weights
    (the control) by more than what the seeds and a message or two explain."""
    monkeypatch.setenv("LORAEXP_DATA_DIR", str(real_data))
    shared = (
        *("data=sms_spam", "logger=none", f"output_dir={tmp_path}", "data.batch_size=16"),
        *("head.pooling=mean", "lora.target_modules=all-linear", "optim.schedule=cosine"),
        *("optim.lr=4e-3", "trainer.max_epochs=2", "trainer.keep=last"),
    )

    def accuracy(*overrides: str) -> float:
        runs = [train(configure(*shared, *overrides, f"seed={seed}")) for seed in SEEDS]
        return mean(run.metrics["test"]["accuracy"] for run in runs)

    pretrained = accuracy()
    drawn = accuracy("model.weights=random", "model.tokenizer=embedded")
    assert pretrained > 0.94
    assert pretrained - drawn > 0.01
