"""The branches beside plain LoRA, against peft's and the papers' formulas."""

from typing import Any

import peft
import pytest
import torch
import torch.nn.functional as F
from layers import (
    ALPHA,
    BRANCHED,
    IN,
    NAMES,
    OUT,
    RANK,
    TARGET,
    adapted,
    base_layer,
    disturbed,
    pefts,
    random,
    values,
)
from torch import Tensor, nn

from loraexp.adapters.branches.base import Adapted, Branch
from loraexp.adapters.branches.dora import Dora
from loraexp.adapters.branches.from_start import olora, pissa
from loraexp.adapters.branches.vera import endless
from loraexp.adapters.inject import adapter_tensors, inject, saved_tensors
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Adaptation, LastBlock
from loraexp.model.classifier import GPT2Classifier


def test_dora_under_dropout_equals_pefts() -> None:
    layer = disturbed("dora", dropout=0.5)
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, use_dora=True, target_modules=["proj"], lora_dropout=0.5
    )
    model, x = pefts(layer, config, NAMES["dora"]), random(3, IN, seed=5)
    torch.manual_seed(1)
    ours = layer(x)
    torch.manual_seed(1)
    assert (ours - model(x)).abs().max() <= 1e-12
    assert (ours - layer.eval()(x)).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_dora_on_a_row_of_zeros_changes_nothing_at_first_and_trains(dtype: torch.dtype) -> None:
    base = base_layer(into=7, out=5)
    base.weight[1] = 0.0
    base.to(dtype)
    branch = Dora.create(base, Adaptation(), TARGET, torch.Generator())
    layer, x = Adapted(base, branch), random(3, 7, seed=5, dtype=dtype)
    assert torch.equal(layer(x), base(x))
    assert torch.equal(branch.merged(base.weight), base.weight)
    for _ in range(2):
        tensors = dict(branch.named_parameters())
        found = values(nn.Sequential(layer).to(dtype), tensors)
        assert all(bool(tensor.isfinite().all()) for tensor in found.values())
        assert found["lora_B"][1].any() or found["lora_magnitude_vector"][1]  # B first, then m
        with torch.no_grad():
            for name, parameter in tensors.items():
                parameter -= 0.1 * found[name]
    assert not torch.equal(layer(x), base(x))
    assert layer(x).isfinite().all()


def test_the_matrices_of_vera_are_one_matrix_cut_to_size() -> None:
    large, small = endless(9, 11, 0), endless(4, 5, 0)
    assert (large[:4, :5] == small).all()
    assert (endless(4, 5, 1) != small).all()
    many = endless(200, 300, 0)
    assert -1 <= many.min() < -0.999
    assert 0.999 < many.max() < 1
    assert abs(many.mean()) < 0.01
    assert many.std() == pytest.approx(3**-0.5, rel=0.01)


@pytest.mark.parametrize("rank", [1, 3, 5, 9])
def test_pissa_takes_the_best_approximation_of_its_rank(rank: int) -> None:
    weight = random(OUT, IN, seed=1)
    B, A = pissa(weight, rank, 1.0)
    S = torch.linalg.svdvals(weight)
    assert (B.shape, A.shape) == ((OUT, rank), (rank, IN))
    rest = torch.linalg.matrix_norm(weight - B @ A)
    assert rest == pytest.approx(float(S[rank:].square().sum().sqrt()), abs=1e-9)
    other = torch.linalg.matrix_norm(weight - torch.matmul(*olora(weight, rank, 1.0)))
    assert rest < other or rank >= OUT  # Q R is no better, and worse unless the rank is full


@pytest.mark.parametrize("method", BRANCHED)
def test_a_fresh_branch_changes_no_output_at_all(method: str) -> None:
    layer, x = adapted(method), random(3, IN, seed=5)
    assert torch.equal(layer(x), layer.base(x))
    assert not torch.equal(disturbed(method)(x), layer.base(x))


@pytest.mark.parametrize("method", BRANCHED)
def test_merged_weight_does_what_the_branch_does(method: str) -> None:
    layer, x = disturbed(method), random(3, IN, seed=5)
    weight, bias = layer.base.weight, layer.base.bias
    weight, bias = layer.branch.merged(weight), layer.branch.merged_bias(bias)
    assert (F.linear(x, weight, bias) - layer(x)).abs().max() <= 1e-12
    assert (F.linear(x, layer.base.weight, layer.base.bias) - layer(x)).abs().max() > 1e-3


@pytest.mark.parametrize("method", BRANCHED)
def test_additive_says_whether_the_change_depends_on_the_weight(method: str) -> None:
    branch: Branch = disturbed(method).branch
    here, there = branch.delta(random(OUT, IN, seed=1)), branch.delta(random(OUT, IN, seed=9))
    assert here.dtype == torch.float64
    assert torch.equal(here, there) == branch.additive


@pytest.mark.parametrize("method", METHODS)
def test_checkpointing_gives_the_same_gradients(
    network: GPT2Classifier, tokens: Tensor, method: str
) -> None:
    config = as_method(Adaptation(last_block=LastBlock(1)), method)
    inject(network, config, seed=1).train()
    disturb = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=disturb)

    def gradients() -> dict[str, Tensor]:
        network.zero_grad()
        F.cross_entropy(network(tokens), torch.tensor([0, 1, 1])).backward()
        found = {
            n: p.grad.clone() for n, p in adapter_tensors(network).items() if p.grad is not None
        }
        assert found.keys() >= adapter_tensors(network).keys() - {"wpe.weight", "wte.weight"}
        return found

    plain = gradients()
    assert plain.keys() == adapter_tensors(network).keys()
    network.execution.checkpointing = True
    calls = 0
    real = network.h[0].forward

    def counted(*given: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return real(*given)

    network.h[0].forward = counted  # type: ignore[method-assign]
    again = gradients()
    assert calls == (1 if method in ("head", "last_block") else 2)  # it was computed again
    assert all(torch.allclose(again[n], plain[n], rtol=1e-5, atol=1e-7) for n in plain)
    assert all(bool(g.any()) for n, g in again.items() if "k_proj.bias" not in n)


def test_lora_fa_trains_b_alone_and_keeps_a_in_its_file(network: GPT2Classifier) -> None:
    inject(network, as_method(Adaptation(), "lora_fa"), seed=1)
    trained, kept = adapter_tensors(network), saved_tensors(network)
    assert {name for name in trained if "lora" in name} == {n for n in kept if n.endswith("lora_B")}
    assert {n.replace("lora_B", "lora_A") for n in trained if "lora" in n} == kept.keys() - trained
