"""A finished run for the commands that put one to use."""

from pathlib import Path

import pytest

from loraexp.config import Data, Logger, Lora, Model, Optim, TrainConfig, Trainer
from loraexp.training.naming import run_folder
from loraexp.training.run import train


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run in float32, so that results do not depend on the CPU's bf16."""
    model = Model(name="tiny", weights="random", tokenizer="bytes", n_layer=2, n_head=2)
    model.d_model, model.context, model.vocab_size = 16, 64, 257
    config = TrainConfig(
        output_dir=str(tmp_path_factory.mktemp("outputs")),
        model=model,
        data=Data(limit=24),
        lora=Lora(rank=2),
        optim=Optim(lr=1e-2),
        trainer=Trainer(max_epochs=1, precision="fp32", accelerator="cpu"),
        logger=Logger(name="none"),
    )
    train(config)
    return run_folder(config)
