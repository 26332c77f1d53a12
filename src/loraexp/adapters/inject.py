"""Attach a method to a network, ask what trains, merge it back in."""

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from loraexp.adapters.branches import Adapted, Branch, Folded
from loraexp.adapters.counts import Counts, in_head
from loraexp.adapters.methods import check_method
from loraexp.adapters.targets import HEAD, targeted
from loraexp.adapters.variants import BRANCHES
from loraexp.config.schema import Adaptation
from loraexp.errors import UserError
from loraexp.runtime.tensors import check_finite, check_layout

N = TypeVar("N", bound=nn.Module)


def inject(network: N, config: Adaptation, seed: int) -> N:
    """Freeze `network`, then attach and unfreeze what `config.method` says; the head always trains.

    Works in place and returns the network. Branches start from their own generator at `seed`, so
    the same seed gives the same adapter in every process.

    Raises:
        UserError: an adapted network, an unknown method, or a target that matches nothing.
    """
    if any(isinstance(module, Adapted) for module in network.modules()):
        raise UserError("this network has an adapter already: merge it, or load the base again")
    method = check_method(config)
    network.requires_grad_(False)
    base_names = [name for name, _ in network.named_parameters() if not in_head(name)]
    for name in method.trains(base_names, config):
        network.get_parameter(name).requires_grad_(True)
    for name, (base, branch) in fresh_branches(network, config, seed).items():
        replace(network, name, Adapted(base, branch))
    head = network.get_submodule(HEAD)
    if not isinstance(head, Adapted):
        head.requires_grad_(True)
    return network


def fresh_branches(
    network: nn.Module, config: Adaptation, seed: int
) -> dict[str, tuple[nn.Linear, Branch]]:
    """Path of each target to its linear layer and a branch that changes nothing yet.

    Raises:
        UserError: as inject.
    """
    method = check_method(config)
    found: dict[str, tuple[nn.Linear, Branch]] = {}
    if method.branch is None:
        return found
    generator = torch.Generator().manual_seed(seed)
    for name, rank, alpha in targeted(linear_names(network), config.lora):
        base = network.get_submodule(name)
        assert isinstance(base, nn.Linear)
        branch = BRANCHES[method.branch].create(base, config.lora, rank, alpha, generator)
        for held in method.frozen:
            branch.get_parameter(held).requires_grad_(False)
        found[name] = base, branch
    return found


def merge(network: N) -> N:
    """Fold every branch into its base weight (summed in float64); drop the wrappers, in place."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Adapted):
            with torch.no_grad():
                module.base.weight.copy_(module.branch.merged(module.base.weight))
            replace(network, name, module.base)
    return network


def fold(network: N) -> N:
    """Merge for a while, in place: `unfold` gives back base and adapter byte for byte, because
    neither is touched. A layer holds its merged weight beside them meanwhile."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Adapted):
            merged = copy.deepcopy(module.base).requires_grad_(False)
            with torch.no_grad():
                merged.weight.copy_(module.branch.merged(module.base.weight))
            replace(network, name, Folded(module, merged))
    return network


def unfold(network: N) -> N:
    """Undo `fold`, in place."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Folded):
            replace(network, name, module.adapted)
    return network


def adapter_tensors(network: nn.Module) -> dict[str, nn.Parameter]:
    """Exactly the tensors that train, head included, by their names in files.

    Names leave the wrapper out: h.0.attn.q_proj.lora_A, not h.0.attn.q_proj.branch.lora_A.
    """
    return {file_name(n): p for n, p in network.named_parameters() if p.requires_grad}


def saved_tensors(network: nn.Module) -> dict[str, nn.Parameter]:
    """THE ADAPTER as its file holds it: what trains, the head, and what a branch holds without
    training."""
    return {
        file_name(name): parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad or ".branch." in name or in_head(name)
    }


def file_name(name: str) -> str:
    return name.replace(".branch.", ".").replace(".base.", ".")


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
    return Counts(trainable, total, sum(isinstance(m, Adapted) for m in network.modules()), held)


def linear_names(network: nn.Module) -> list[str]:
    """Paths of the linear layers a method may adapt: all but the head."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and not in_head(name)
    ]


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
