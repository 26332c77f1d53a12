"""A run small enough to be trained in a test."""

from pathlib import Path

import pytest

from loraexp.config import Data, Head, Logger, Lora, Model, Optim, TrainConfig, Trainer
from loraexp.model.checkpoint import save_classifier
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier


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


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A tiny base, as ours and as transformers' folder."""
    model = Model("tiny", "random", "bytes", n_layer=2, n_head=2, d_model=8, context=16)
    model.vocab_size = 257
    folder = tmp_path_factory.mktemp("base")
    network = load_classifier(model, Head(), 2, seed=0)
    save_classifier(network.state_dict(), model, from_bytes(), ("ham", "spam"), folder)
    return model, folder
