"""(IA)^3 where it is not like other branches: the input of fc2, the bias, no rank."""

from dataclasses import replace

import peft
import pytest
import torch
from layers import IN, OneLinear, base_layer, random
from torch import Tensor

from loraexp.adapters.algebra import change_of
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.ia3 import Ia3
from loraexp.adapters.inject import adapter_tensors, count, fold, inject, merge, unfold
from loraexp.adapters.targets import Target
from loraexp.api import configure
from loraexp.config.schema import Adaptation, Lora, TrainConfig
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.runs.naming import config_hash, run_name

CONFIG = Adaptation("ia3", lora=Lora(target_modules=["k_proj", "v_proj", "fc2"]))


@pytest.fixture
def moved(network: GPT2Classifier) -> GPT2Classifier:
    """In float64, far from its start."""
    inject(network.double(), CONFIG, seed=1).double()
    with torch.no_grad():
        for seed, parameter in enumerate(adapter_tensors(network).values()):
            parameter += 0.3 * random(*parameter.shape, seed=seed)
    return network


@pytest.mark.parametrize("path", ["h.0.attn.v_proj", "h.0.mlp.fc2"])
def test_outputs_and_merged_layers_are_pefts(path: str) -> None:
    branch = Ia3.empty(base_layer(), Adaptation("ia3"), Target(path, 1, 1.0)).double()
    layer, x = Adapted(base_layer(), branch), random(3, IN, seed=5)
    assert torch.equal(layer(x), layer.base(x))
    inputs = ["proj"] if path.endswith("fc2") else []
    config = peft.IA3Config(target_modules=["proj"], feedforward_modules=inputs)
    model = peft.get_peft_model(OneLinear(base_layer()), config).double()
    with torch.no_grad():
        branch.ia3_l += 0.3 * random(*branch.ia3_l.shape, seed=9)
        theirs = model.get_submodule("base_model.model.proj").ia3_l["default"]
        theirs.copy_(branch.ia3_l.view(theirs.shape))
    assert (layer(x) - model(x)).abs().max() <= 1e-12
    merged = model.merge_and_unload().proj
    assert (branch.merged(layer.base.weight) - merged.weight).abs().max() <= 1e-12
    assert (branch.merged_bias(layer.base.bias) - merged.bias).abs().max() <= 1e-12
    assert torch.equal(merged.bias, layer.base.bias) == bool(inputs)  # an output's bias is scaled


def test_a_fresh_adapter_changes_nothing_and_counts_what_the_paper_counts(
    network: GPT2Classifier, tokens: Tensor
) -> None:
    before, d = network(tokens), network.config.d_model
    assert torch.equal(inject(network, CONFIG, seed=1)(tokens), before)
    own = count(network).trainable - sum(p.numel() for p in network.score.parameters())
    assert own == network.config.n_layer * (d + d + 4 * d)


def test_merged_and_folded_logits_are_the_same_and_unfolding_is_exact(
    moved: GPT2Classifier, tokens: Tensor
) -> None:
    before, state = moved(tokens), {n: t.clone() for n, t in moved.state_dict().items()}
    assert torch.allclose(fold(moved)(tokens), before, rtol=0, atol=1e-12)
    unfold(moved)
    assert all(torch.equal(tensor, state[name]) for name, tensor in moved.state_dict().items())
    assert torch.allclose(merge(moved)(tokens), before, rtol=0, atol=1e-12)


def test_its_change_cannot_be_added_to_another(moved: GPT2Classifier) -> None:
    with pytest.raises(UserError, match="the change that ia3 makes depends on the weight"):
        change_of(moved)


def test_of_the_keys_of_lora_only_the_targets_name_a_run() -> None:
    config = configure("method=ia3")
    assert config.lora == CONFIG.lora

    def other(**lora: object) -> TrainConfig:
        return replace(config, lora=replace(config.lora, **lora))  # type: ignore[arg-type]

    same = other(rank=4, alpha=1.0, dropout=0.1, scaling="alpha", lr_ratio=2.0)
    assert run_name(same) == run_name(config)
    assert "-ia3-seed0-" in run_name(config)
    assert config_hash(other(target_modules=["fc2"])) != config_hash(config)
