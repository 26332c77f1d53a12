"""One linear layer with a branch, and the same in peft: what tests of the maths share."""

from typing import Any

import peft
import torch
from torch import Tensor, nn

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.from_start import FromStart
from loraexp.adapters.branches.vera import Vera
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Lora

IN, OUT, RANK, ALPHA = 7, 5, 3, 6.0
TARGET = Target("proj", RANK, ALPHA)
BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]
PLAIN = {"lora_A": "lora_A.default.weight", "lora_B": "lora_B.default.weight"}
# Tensors that train -> peft's names of them.
NAMES: dict[str, dict[str, str]] = {
    **dict.fromkeys(("lora", "rslora", "lora_plus", "pissa", "olora"), PLAIN),
    "lora_fa": {"lora_B": "lora_B.default.weight"},
    "dora": {**PLAIN, "lora_magnitude_vector": "lora_magnitude_vector.default.weight"},
    "vera": {name: f"{name}.default" for name in ("vera_lambda_d", "vera_lambda_b")},
    "ia3": {"ia3_l": "ia3_l.default"},
    "adalora": {name: f"{name}.default" for name in ("lora_A", "lora_B", "lora_E")},
}


class OneLinear(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.proj = base

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def base_layer(dtype: torch.dtype = torch.float64) -> nn.Linear:
    base = nn.Linear(IN, OUT, dtype=dtype).requires_grad_(False)
    base.weight.copy_(random(OUT, IN, seed=1))
    base.bias.copy_(random(OUT, seed=2))
    return base


def adapted(method: str, dtype: torch.dtype = torch.float64, **lora: Any) -> Adapted:
    """One layer with a fresh branch of `method`, all in one dtype."""
    config = as_method(Adaptation(lora=Lora(rank=RANK, alpha=ALPHA, **lora)), method)
    base, kind = base_layer(dtype), BRANCHES[METHODS[method].branch or ""]
    generator = torch.Generator().manual_seed(0)
    branch = kind.create(base, config, TARGET, generator).to(dtype)
    for held in METHODS[method].frozen:
        branch.get_parameter(held).requires_grad_(False)
    return Adapted(base, branch)


def disturbed(method: str, dtype: torch.dtype = torch.float64, **lora: Any) -> Adapted:
    layer = adapted(method, dtype, **lora)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.branch.parameters()):
            if parameter.requires_grad:
                parameter += 0.3 * random(*parameter.shape, seed=10 + seed, dtype=dtype)
    return layer


def settings(method: str, **more: Any) -> peft.PeftConfig:
    """peft's configuration of a method."""
    if method == "vera":
        return peft.VeraConfig(r=RANK, target_modules=["proj"], save_projection=True, **more)
    if method == "ia3":
        return peft.IA3Config(target_modules=["proj"], feedforward_modules=[], **more)
    if method == "adalora":  # peft divides by r + 1e-5
        alpha: Any = ALPHA / RANK * (RANK + 1e-5)
        steps = {"total_step": 10, "tinit": 2, "tfinal": 2}
        return peft.AdaLoraConfig(
            init_r=RANK, target_r=1, lora_alpha=alpha, target_modules=["proj"], **steps, **more
        )
    return peft.LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,  # type: ignore[arg-type]
        target_modules=["proj"],
        use_dora=method == "dora",
        use_rslora=method == "rslora",
        **more,
    )


def pefts(layer: Adapted, config: peft.PeftConfig, names: dict[str, str]) -> peft.PeftModel:
    """peft's model on the same base with the tensors of our branch, under its own names."""
    branch, base = layer.branch, layer.base
    dtype = base.weight.dtype
    model = peft.get_peft_model(OneLinear(base_layer(dtype)), config).to(dtype)
    theirs = model.get_submodule("base_model.model.proj")
    with torch.no_grad():
        for parameter, name in named(model, names).items():
            tensor = branch.get_parameter(parameter)
            name.copy_(tensor.view(name.shape))
        if "lora_A" not in names and hasattr(branch, "lora_A"):  # frozen, and part of it
            theirs.lora_A["default"].weight.copy_(branch.lora_A)
        if isinstance(branch, Vera):
            theirs.vera_A["default"].copy_(branch.A)
            theirs.vera_B["default"].copy_(branch.B)
        if isinstance(branch, FromStart):  # peft takes the start out of the frozen weight
            start = branch.scaling * (branch.start_B.double() @ branch.start_A.double())
            theirs.base_layer.weight.copy_(base.weight.double() - start)
    return model


def named(model: nn.Module, names: dict[str, str]) -> dict[str, nn.Parameter]:
    """peft's tensors under our names."""
    theirs = dict(model.named_parameters())
    return {
        ours: next(p for n, p in theirs.items() if n.endswith(name)) for ours, name in names.items()
    }


def values(layer: nn.Module, tensors: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The output, and the gradients of tensors and input, for one fixed loss."""
    layer.zero_grad()
    dtype = next(iter(tensors.values())).dtype
    x = random(2, 4, IN, seed=5, dtype=dtype).requires_grad_(True)
    y = layer(x)
    (y * random(2, 4, OUT, seed=6, dtype=dtype)).sum().backward()
    found = {"output": y.detach(), "input": x.grad}
    found |= {name: tensor.grad for name, tensor in tensors.items()}
    return {name: tensor.clone() for name, tensor in found.items() if tensor is not None}


def differences(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, float]:
    """Of each pair, relative to the larger of its values and 1."""
    assert ours.keys() == theirs.keys()
    return {
        name: float((ours[name] - other.view(ours[name].shape)).abs().max())
        / max(1.0, float(other.abs().max()))
        for name, other in theirs.items()
    }
