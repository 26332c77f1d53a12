"""A run small enough to be trained in a test."""

from pathlib import Path

import pytest
from small import small_run

from loraexp.config.schema import Head, Model, TrainConfig
from loraexp.model.checkpoint import save_classifier
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier


@pytest.fixture
def small(tmp_path: Path) -> TrainConfig:
    return small_run(tmp_path / "outputs", epochs=2, logger="csv")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A tiny base, as ours and as transformers' folder."""
    model = Model("tiny", "random", "bytes", n_layer=2, n_head=2, d_model=8, context=16)
    model.vocab_size = 257
    folder = tmp_path_factory.mktemp("base")
    network = load_classifier(model, Head(), 2, seed=0)
    save_classifier(network.state_dict(), model, from_bytes(), ("ham", "spam"), folder)
    return model, folder
