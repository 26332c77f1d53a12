"""A tiny classifier in which every bias counts, and a few texts for it."""

from pathlib import Path

import pytest
import torch
from saved import CONTENT, trained
from torch import Tensor

from loraexp.adapters.adapter_files import save_adapter
from loraexp.config.schema import Adaptation, Head, Model
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier


@pytest.fixture
def network(tiny: Model) -> GPT2Classifier:
    """Random weights, and biases that are not zero: a lost or moved one changes the logits."""
    network = load_classifier(tiny, Head(bias=True), 2, seed=0)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


@pytest.fixture
def tokens() -> Tensor:
    """Three texts of twelve tokens."""
    return torch.randint(0, 257, (3, 12), generator=torch.Generator().manual_seed(3))


@pytest.fixture
def folder(tmp_path: Path, network: GPT2Classifier) -> Path:
    """A LoRA adapter on disk."""
    save_adapter(trained(network, Adaptation()), tmp_path / "adapter", CONTENT)
    return tmp_path / "adapter"
