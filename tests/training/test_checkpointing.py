"""trainer.gradient_checkpointing, from the config to the step: what it saves is memory alone."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from each_method import each_method
from safetensors.torch import load_file
from torch import Tensor

from loraexp.adapters.adapter_files import TENSORS
from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.learning import optimizer_groups
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.runs.load import build_model
from loraexp.training.classifier_module import ClassifierModule
from loraexp.training.run import train

TOKENS = torch.randint(0, 256, (4, 12), generator=torch.Generator().manual_seed(5))


def after_two_steps(config: TrainConfig) -> tuple[list[dict[str, Tensor]], dict[str, bool]]:
    """The gradients of each step, and of every tensor that trains whether it has moved."""
    network = build_model(config, ("ham", "spam")).network.train()
    assert network.execution.checkpointing == config.trainer.gradient_checkpointing
    module, groups = ClassifierModule(network, config, 2), optimizer_groups(network, config)
    tensors = adapter_tensors(network)
    starts = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    optimizer = torch.optim.AdamW(groups, lr=config.optim.lr, weight_decay=0.0)
    steps = []
    for _ in range(2):  # in the first one adalora's e of zero holds P and Q back
        optimizer.zero_grad()
        F.cross_entropy(module(TOKENS, torch.full((4,), 12)), torch.tensor([0, 1, 1, 0])).backward()
        steps.append({n: t.grad.clone() for n, t in tensors.items() if t.grad is not None})
        optimizer.step()
    return steps, {name: not torch.equal(t, starts[name]) for name, t in tensors.items()}


@pytest.mark.parametrize("method", each_method())
def test_gradients_are_those_without_it_and_every_tensor_moves(
    small: TrainConfig, method: str
) -> None:
    plain = as_method(small, method)
    saving = replace(plain, trainer=replace(plain.trainer, gradient_checkpointing=True))
    (ours, moved), (wanted, _) = after_two_steps(saving), after_two_steps(plain)
    for step, without in zip(ours, wanted, strict=True):
        assert step.keys() == without.keys()
        for name, gradient in step.items():
            assert torch.allclose(gradient, without[name], rtol=1e-5, atol=1e-7), name
    assert [name for name, has in moved.items() if not has] == []
    fresh = adapter_tensors(build_model(saving, ("ham", "spam")).network)
    if any(name.endswith("lora_B") for name in fresh):
        assert sum(name.endswith("lora_B") and has for name, has in moved.items()) == 8


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_a_run_with_it_leaves_the_adapter_of_one_without(small: TrainConfig, method: str) -> None:
    found = []
    for saving in (False, True):
        trainer = replace(small.trainer, max_epochs=1, gradient_checkpointing=saving)
        config = as_method(replace(small, trainer=trainer), method)
        train(config)
        found.append(load_file(run_folder(config) / "adapter" / TENSORS))
    assert all(torch.allclose(found[0][n], found[1][n], rtol=0, atol=1e-6) for n in found[0])
    assert all(t.any() for name, t in found[1].items() if name.endswith("lora_B"))
