"""The head as a target, as the source tutorial has it: frozen, with a branch of its own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from loraexp.adapters.adapter_files import load_adapter, save_adapter
from loraexp.adapters.counts import count_shapes
from loraexp.adapters.inject import adapter_tensors, count, inject, linear_names, merge
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier

CONFIG = Adaptation(lora=Lora(rank=2, target_modules=["q_proj", "score"]))
BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]


def trained(network: GPT2Classifier, config: Adaptation = CONFIG) -> GPT2Classifier:
    inject(network, config, seed=0)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator())
    return network


@pytest.mark.parametrize("method", BRANCHED)
def test_counts_equal_the_formula(method: str, network: GPT2Classifier) -> None:
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    linears, config = linear_names(network), as_method(CONFIG, method)
    inject(network, config, seed=0)
    assert count(network) == count_shapes(shapes, linears, config)
    assert "score.weight" not in adapter_tensors(network)


def test_the_file_has_the_frozen_head(network: GPT2Classifier, tiny: Model, tmp_path: Path) -> None:
    save_adapter(trained(network), tmp_path, {})
    other = inject(load_classifier(tiny, Head(bias=True), 2, seed=5), CONFIG, seed=5)
    assert not torch.equal(other.score.base.weight, network.score.base.weight)  # the control
    load_adapter(other, tmp_path)
    for kind in ("weight", "bias"):
        assert torch.equal(
            other.score.base.get_parameter(kind), network.score.base.get_parameter(kind)
        )


def test_merged_head_gives_the_same_logits(network: GPT2Classifier, tokens: Tensor) -> None:
    network = trained(network).double()
    before = network(tokens)
    merged = merge(network)(tokens)
    assert torch.allclose(before, merged, rtol=0, atol=1e-12)
    assert type(network.score).__name__ == "Linear"
