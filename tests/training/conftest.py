"""A run small enough to be trained in a test."""

from pathlib import Path

import pytest

from loraexp.config import Data, Logger, Lora, Model, Optim, TrainConfig, Trainer


@pytest.fixture
def small(tiny: Model, tmp_path: Path) -> TrainConfig:
    """Two epochs of three batches; float32, so that results do not depend on the CPU's bf16."""
    return TrainConfig(
        output_dir=str(tmp_path / "outputs"),
        model=tiny,
        data=Data(limit=24),
        lora=Lora(rank=2),
        optim=Optim(lr=1e-2),
        trainer=Trainer(max_epochs=2, precision="fp32", accelerator="cpu"),
        logger=Logger(name="csv"),
    )
