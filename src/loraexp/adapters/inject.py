"""Attach a method to a network, ask what trains, merge it back in."""

import copy
from collections.abc import Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted, Branch, Folded, adapted_layers
from loraexp.adapters.counts import Counts, in_head
from loraexp.adapters.methods import check_method
from loraexp.adapters.targets import HEAD, targeted
from loraexp.config.schema import Adaptation
from loraexp.errors import UserError
from loraexp.runtime.tensors import check_finite, check_layout

N = TypeVar("N", bound=nn.Module)


def inject(network: N, config: Adaptation, seed: int | None) -> N:
    """Freeze `network`, then attach and unfreeze what `config.method` says; the head always trains.

    Works in place and returns the network. Branches start from their own generator at `seed`, so
    the same seed gives the same adapter in every process; without one they are shapes, and what a
    file holds is to be loaded.

    Raises:
        UserError: an adapted network, an unknown method, or a target that matches nothing.
    """
    if adapted_layers(network):
        raise UserError("this network has an adapter already: merge it, or load the base again")
    method = check_method(config)
    network.requires_grad_(False)
    base_names = [name for name, _ in network.named_parameters() if not in_head(name)]
    for name in method.trains(base_names, config):
        network.get_parameter(name).requires_grad_(True)
    for name, (base, branch) in new_branches(network, config, seed).items():
        network.set_submodule(name, Adapted(base, branch))
    head = network.get_submodule(HEAD)
    if not isinstance(head, Adapted):
        head.requires_grad_(True)
    return network


def new_branches(
    network: nn.Module, config: Adaptation, seed: int | None
) -> dict[str, tuple[nn.Linear, Branch]]:
    """Path of each target to its linear layer and a branch that changes nothing yet.

    Raises:
        UserError: as inject.
    """
    method = check_method(config)
    branches: dict[str, tuple[nn.Linear, Branch]] = {}
    if method.branch is None:
        return branches
    kind, generator = BRANCHES[method.branch], torch.Generator()
    if seed is not None:
        generator.manual_seed(seed)
    for target in targeted(linear_names(network), config.lora):
        base = network.get_submodule(target.path)
        assert isinstance(base, nn.Linear)
        branch = (
            kind.empty(base, config, target)
            if seed is None
            else kind.create(base, config, target, generator)
        )
        for held in method.frozen:
            branch.get_parameter(held).requires_grad_(False)
        branches[target.path] = base, branch
    return branches


def merge(network: N) -> N:
    """Fold every branch into its base weight (summed in float64); drop the wrappers, in place."""
    for name, layer in adapted_layers(network).items():
        merge_into(layer.base, layer.branch)
        network.set_submodule(name, layer.base)
    return network


@torch.no_grad()
def merge_into(linear: nn.Linear, branch: Branch) -> None:
    linear.weight.copy_(branch.merged(linear.weight))
    if linear.bias is not None:
        linear.bias.copy_(branch.merged_bias(linear.bias))


def fold(network: N) -> N:
    """Merge for a while, in place: `unfold` gives back base and adapter byte for byte, because
    neither is touched. A layer holds its merged weight beside them meanwhile."""
    for name, layer in adapted_layers(network).items():
        merged = copy.deepcopy(layer.base).requires_grad_(False)
        merge_into(merged, layer.branch)
        network.set_submodule(name, Folded(layer, merged))
    return network


def unfold(network: N) -> N:
    """Undo `fold`, in place."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Folded):
            network.set_submodule(name, module.adapted)
    return network


def adapter_tensors(network: nn.Module) -> dict[str, nn.Parameter]:
    """Exactly the tensors that train, head included, by their names in files."""
    return {name: p for name, p, _ in named_tensors(network) if p.requires_grad}


def saved_tensors(network: nn.Module) -> dict[str, nn.Parameter]:
    """THE ADAPTER as its file holds it: what trains, the head, and what a branch holds without
    training."""
    return {name: p for name, p, own in named_tensors(network) if p.requires_grad or own}


def named_tensors(network: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Every tensor with its name in files, and whether it is of a branch or the head.

    Names leave the wrapper out: h.0.attn.q_proj.lora_A, not h.0.attn.q_proj.branch.lora_A.
    """
    layers = adapted_layers(network)
    for name, parameter in network.named_parameters():
        owner, _, kind = name.rpartition(".")
        path, _, part = owner.rpartition(".")
        if path in layers:  # part is base or branch
            yield f"{path}.{kind}", parameter, part == "branch" or in_head(name)
        else:
            yield name, parameter, in_head(name)


def load_tensors(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` over `own`, the network's adapter or what of it trains, once checked.

    Raises:
        ValueError: as check_tensors.
    """
    check_tensors(own, tensors)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def check_tensors(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Names and shapes must be exactly those of `own`.

    Raises:
        ValueError: a missing, unexpected, misshaped or non-finite tensor, by name.
    """
    check_layout(own, tensors)
    check_finite(tensors)


def count(network: nn.Module) -> Counts:
    """Count the network as it stands; total includes the adapter and the head."""
    trainable = sum(p.numel() for p in adapter_tensors(network).values())
    total = sum(p.numel() for p in network.parameters())
    held = sum(p.numel() for p in saved_tensors(network).values()) - trainable
    layers = adapted_layers(network).values()
    ranked = sum(layer.branch.has_rank for layer in layers)
    return Counts(trainable, total, len(layers), held, ranked)


def linear_names(network: nn.Module) -> list[str]:
    """Paths of the linear layers a method may adapt: all but the head."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and not in_head(name)
    ]
