"""What a method asks of training: optimizer groups, a penalty, what is done between steps."""

from typing import Any

from torch import Tensor, nn

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Controller, adapted_layers
from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.methods import find_method
from loraexp.config.schema import TrainConfig


def optimizer_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """All that trains, a branch's fast tensors at a rate of their own if one is asked for
    (Hayou et al. 2024, "LoRA+", section 4)."""
    tensors, ratio = adapter_tensors(network), config.lora.lr_ratio
    if ratio == 1.0:
        return [{"params": [*tensors.values()]}]
    quick = {
        f"{path}.{kind}"
        for path, layer in adapted_layers(network).items()
        for kind in layer.branch.fast
    }
    fast = [p for name, p in tensors.items() if name in quick]
    slow = [p for name, p in tensors.items() if name not in quick]
    return [{"params": slow}, {"params": fast, "lr": ratio * config.optim.lr}]


def moving_first(network: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that must move in the first step, by their names in files."""
    return {
        f"{path}.{kind}": layer.branch.get_parameter(kind)
        for path, layer in adapted_layers(network).items()
        for kind in layer.branch.moves_first
    }


def penalty(network: nn.Module) -> Tensor | float:
    """What the branches add to the loss."""
    return sum((layer.branch.penalty() for layer in adapted_layers(network).values()), start=0.0)


def controller(network: nn.Module, config: TrainConfig) -> Controller | None:
    """What the method does to its branches between steps, if it does anything."""
    kind = find_method(config.method).branch
    branches = {f"{path}.branch": layer.branch for path, layer in adapted_layers(network).items()}
    return BRANCHES[kind].controller(branches, config) if kind else None
