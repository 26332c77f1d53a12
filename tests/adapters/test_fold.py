"""Merged for a while: the merged logits, and the base and the adapter given back byte for byte."""

from hashlib import sha256

import pytest
import torch
from each_method import each_method
from layers import BRANCHED, IN, OneLinear, disturbed, random
from torch import Tensor, nn

from loraexp.adapters.branches.base import Folded
from loraexp.adapters.inject import adapter_tensors, fold, inject, merge, unfold
from loraexp.adapters.methods import as_method
from loraexp.config.schema import Adaptation, Lora
from loraexp.model.classifier import GPT2Classifier

CYCLES = 1000


def digest(network: nn.Module) -> str:
    found = sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


def trained(network: GPT2Classifier, method: str) -> GPT2Classifier:
    config = as_method(Adaptation(lora=Lora(rank=2, target_modules=["v_proj", "fc1"])), method)
    inject(network, config, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("method", each_method(BRANCHED))
def test_a_thousand_cycles_give_back_every_byte(method: str, dtype: torch.dtype) -> None:
    """Of one layer, so that every method can have its thousand."""
    layer = disturbed(method, torch.float32)
    layer.base.to(dtype)
    network = OneLinear(layer)  # type: ignore[arg-type]
    before, x = digest(network), random(3, IN, seed=5, dtype=dtype)
    out = network(x)
    for _ in range(CYCLES):
        fold(network)
        unfold(network)
    assert digest(network) == before
    assert torch.equal(network(x), out)
    assert not torch.equal(fold(network)(x), layer.base(x))  # the control: it was merged


@pytest.mark.parametrize("method", BRANCHED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_whole_network_is_given_back(
    method: str, dtype: torch.dtype, network: GPT2Classifier, tokens: Tensor
) -> None:
    network = trained(network, method).compute_in(dtype)
    before, logits = digest(network), network(tokens)
    unfold(fold(network))
    assert digest(network) == before
    assert torch.equal(network(tokens), logits)


def test_adding_and_taking_away_does_not(network: GPT2Classifier) -> None:
    """The control: what other libraries do loses bits in bf16."""
    layer = trained(network, "lora").compute_in(torch.bfloat16).get_submodule("h.0.attn.v_proj")
    weight, delta = layer.base.weight, layer.branch.delta(layer.base.weight)
    there = (weight + delta).to(torch.bfloat16)
    assert not torch.equal((there - delta).to(torch.bfloat16), weight)


@pytest.mark.parametrize("method", BRANCHED)
def test_folded_logits_are_the_merged_ones(
    method: str, network: GPT2Classifier, tokens: Tensor
) -> None:
    network = trained(network, method).double()
    adapted = network(tokens)
    folded = fold(network)(tokens)
    assert not torch.equal(folded, adapted)  # another sum
    assert torch.allclose(folded, adapted, rtol=0, atol=1e-12)
    assert torch.equal(merge(unfold(network))(tokens), folded)
    assert not any(isinstance(module, Folded) for module in network.modules())
