"""bf16 for products with the frozen base, and float32 for everything that trains."""

import pytest
import torch
from torch import nn

from loraexp.config.schema import Head, Model
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier


@pytest.fixture
def half_trained(tiny: Model) -> GPT2Classifier:
    """A base of which one linear, one embedding and the head train, in bf16."""
    network = load_classifier(tiny, Head(bias=True), 3, seed=0).requires_grad_(False)
    for part in (network.h[1].attn.q_proj, network.wpe, network.score):
        part.requires_grad_(True)
    return network.compute_in(torch.bfloat16)


def test_frozen_linears_and_embeddings_are_stored_in_bf16(half_trained: GPT2Classifier) -> None:
    frozen = [
        parameter.dtype
        for module in half_trained.modules()
        if isinstance(module, (nn.Linear, nn.Embedding))
        for parameter in module.parameters(recurse=False)
        if not parameter.requires_grad
    ]
    assert frozen == [torch.bfloat16] * (1 + 2 * 11)  # wte; weight and bias of 12 linears less one


def test_layer_norms_and_what_trains_stay_in_float32(half_trained: GPT2Classifier) -> None:
    full = {name for name, p in half_trained.named_parameters() if p.dtype == torch.float32}
    norms = {name for name, _ in half_trained.named_parameters() if ".ln_" in f".{name}"}
    trains = {name for name, p in half_trained.named_parameters() if p.requires_grad}
    assert len(norms) == 2 * 5
    assert len(trains) == 5
    assert full == norms | trains


def test_gradients_are_in_float32(half_trained: GPT2Classifier) -> None:
    half_trained(torch.tensor([[1, 2, 3]])).square().sum().backward()
    for name, parameter in half_trained.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert parameter.grad.dtype == torch.float32, name
            assert parameter.grad.any(), name


def test_products_run_in_bf16_and_the_residual_stream_in_float32(
    half_trained: GPT2Classifier,
) -> None:
    seen: dict[str, torch.dtype] = {}
    for name, module in half_trained.named_modules():
        if isinstance(module, (nn.Linear, nn.LayerNorm)):
            module.register_forward_hook(
                lambda _module, inputs, _output, name=name: seen.update({name: inputs[0].dtype})
            )
    half_trained(torch.tensor([[1, 2, 3]]))
    for name, dtype in seen.items():
        whole = ".ln_" in f".{name}" or name == "score"
        assert dtype == (torch.float32 if whole else torch.bfloat16), name
    assert len(seen) == 12 + 5 + 1


def test_logits_in_bf16_are_near_those_in_float32(tiny: Model) -> None:
    network = load_classifier(tiny, Head(), 3, seed=0)
    with torch.no_grad():
        tokens = torch.arange(40).view(2, 20)
        exact = network(tokens)
        rounded = network.requires_grad_(False).compute_in(torch.bfloat16)(tokens)
    assert 0 < (rounded - exact).abs().max() <= 0.03 * exact.abs().max()
