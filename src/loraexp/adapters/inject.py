"""Attach a method to a network, ask what trains, merge it back in."""

from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from loraexp.adapters.branches import Adapted
from loraexp.adapters.methods import find_method
from loraexp.adapters.targets import check_pattern, lookup, resolve
from loraexp.config import Adaptation
from loraexp.errors import UserError

HEAD = "score"
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
    method = find_method(config.method)
    network.requires_grad_(False)
    base_names = [name for name, _ in network.named_parameters() if not in_head(name)]
    for name in method.trains(base_names, config):
        network.get_parameter(name).requires_grad_(True)
    if method.branch is not None:
        linears = linear_names(network)
        targets = resolve(linears, config.lora.target_modules)
        check_pattern("lora.rank_pattern", config.lora.rank_pattern, targets)
        check_pattern("lora.alpha_pattern", config.lora.alpha_pattern, targets)
        generator = torch.Generator().manual_seed(seed)
        for name in targets:
            base = network.get_submodule(name)
            assert isinstance(base, nn.Linear)
            rank = lookup(name, config.lora.rank_pattern, config.lora.rank)
            alpha = lookup(name, config.lora.alpha_pattern, config.lora.alpha)
            branch = method.branch.create(base, config.lora, rank, alpha, generator)
            replace(network, name, Adapted(base, branch))
    network.get_submodule(HEAD).requires_grad_(True)
    return network


def merge(network: N) -> N:
    """Fold every branch into its base weight (summed in float64); drop the wrappers, in place."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Adapted):
            with torch.no_grad():
                module.base.weight.copy_(module.branch.merged(module.base.weight))
            replace(network, name, module.base)
    return network


def adapter_tensors(network: nn.Module) -> dict[str, nn.Parameter]:
    """THE ADAPTER: exactly the tensors that train, head included, by their names in files.

    Names leave the wrapper out: h.0.attn.q_proj.lora_A, not h.0.attn.q_proj.branch.lora_A.
    """
    return {file_name(n): p for n, p in network.named_parameters() if p.requires_grad}


def file_name(name: str) -> str:
    return name.replace(".branch.", ".").replace(".base.", ".")


def load_adapter_tensors(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into the network's adapter, once they are checked."""
    check_adapter_tensors(network, tensors)
    with torch.no_grad():
        for name, parameter in adapter_tensors(network).items():
            parameter.copy_(tensors[name])


def check_adapter_tensors(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Names and shapes must be exactly those of the network's adapter.

    Raises:
        ValueError: a missing, unexpected, misshaped or non-finite tensor, by name.
    """
    own = adapter_tensors(network)
    for problem, names in (
        ("lacks", own.keys() - tensors.keys()),
        ("has an unexpected", tensors.keys() - own.keys()),
        (
            "has another shape for",
            {n for n in own if n in tensors and own[n].shape != tensors[n].shape},
        ),
        ("has a non-finite", {n for n, t in tensors.items() if not bool(t.isfinite().all())}),
    ):
        if names:
            raise ValueError(f"{problem} {min(names)} ({len(names)} such tensors)")


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters; `adapter_bytes` is what the trained tensors take in float32."""

    trainable: int
    total: int
    adapted_modules: int  # linear layers with a branch

    @property
    def percent(self) -> float:
        return 100.0 * self.trainable / self.total

    @property
    def adapter_bytes(self) -> int:
        return 4 * self.trainable

    def as_dict(self) -> dict[str, int | float]:
        derived = {"percent": self.percent, "adapter_bytes": self.adapter_bytes}
        return {**asdict(self), **derived}


def count(network: nn.Module) -> Counts:
    """Count the network as it stands; total includes the adapter and the head."""
    trainable = sum(p.numel() for p in adapter_tensors(network).values())
    total = sum(p.numel() for p in network.parameters())
    return Counts(trainable, total, sum(isinstance(m, Adapted) for m in network.modules()))


def linear_names(network: nn.Module) -> list[str]:
    """Paths of the linear layers a method may adapt: all but the head."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and not in_head(name)
    ]


def in_head(name: str) -> bool:
    return name == HEAD or name.startswith(f"{HEAD}.")


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
