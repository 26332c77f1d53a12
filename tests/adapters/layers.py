"""One linear layer with a branch, and the same in peft: what tests of the maths share."""

import copy
from typing import Any

import peft
import torch
from torch import Tensor, nn

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.dense import Randlora, Shira
from loraexp.adapters.branches.from_start import FromStart
from loraexp.adapters.branches.vera import Vera
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Lora

IN, OUT, RANK, ALPHA = 9, 7, 3, 6.0  # oft: 3 divides 9
TARGET = Target("proj", RANK, ALPHA)
BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]
PLAIN = {"lora_A": "lora_A.default.weight", "lora_B": "lora_B.default.weight"}
# Tensors that train -> peft's names of them.
NAMES: dict[str, dict[str, str]] = {
    **dict.fromkeys(
        ("lora", "rslora", "lora_plus", "pissa", "olora", "dylora", "lora_ga", "eva"), PLAIN
    ),
    "lora_fa": {"lora_B": "lora_B.default.weight"},
    "dora": {**PLAIN, "lora_magnitude_vector": "lora_magnitude_vector.default.weight"},
    "vera": {name: f"{name}.default" for name in ("vera_lambda_d", "vera_lambda_b")},
    "ia3": {"ia3_l": "ia3_l.default"},
    "adalora": {name: f"{name}.default" for name in ("lora_A", "lora_B", "lora_E")},
    "miss": {"lora_B": "miss_block.default"},
    "oft": {"oft_R": "oft_R.default.weight"},
    "hira": {name: f"{name}.default" for name in ("hira_A", "hira_B")},
    "loha": {f"hada_w{i}_{k}": f"hada_w{i}_{k}.default" for i in (1, 2) for k in "ab"},
    "lokr": {name: f"{name}.default" for name in ("lokr_w1", "lokr_w2_a", "lokr_w2_b")},
    "shira": {"shira_weight": "shira_weight.default"},
    "randlora": {name: f"{name}.default" for name in ("randlora_lambda", "randlora_gamma")},
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


def base_layer(dtype: torch.dtype = torch.float64, into: int = IN, out: int = OUT) -> nn.Linear:
    base = nn.Linear(into, out, dtype=dtype).requires_grad_(False)
    base.weight.copy_(random(out, into, seed=1))
    base.bias.copy_(random(out, seed=2))
    return base


def adapted(
    method: str, dtype: torch.dtype = torch.float64, base: nn.Linear | None = None, **lora: Any
) -> Adapted:
    """One layer with a fresh branch of `method`, all in one dtype."""
    config = as_method(Adaptation(lora=Lora(**{"rank": RANK, "alpha": ALPHA, **lora})), method)
    base, kind = base or base_layer(dtype), BRANCHES[METHODS[method].branch or ""]
    generator, target = torch.Generator().manual_seed(0), TARGET._replace(rank=config.lora.rank)
    branch = kind.create(base, config, target, generator).to(dtype)
    if branch.needs:  # as if the data had said it
        gradient = random(*base.weight.shape, seed=8)
        with torch.no_grad():
            branch.start_from(gradient if branch.needs == "gradient" else gradient.t() @ gradient)
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


def settings(method: str, rank: int = RANK, **more: Any) -> peft.PeftConfig:
    """peft's configuration of a method."""
    more["target_modules"] = ["proj"]
    scaled = {"r": rank, "alpha": ALPHA}
    if method == "miss":
        return peft.MissConfig(r=rank, **more)
    if method == "oft":
        return peft.OFTConfig(oft_block_size=rank, use_cayley_neumann=False, **more)
    if method == "hira":
        return peft.HiraConfig(r=rank, **more)
    if method == "loha":
        return peft.LoHaConfig(**scaled, **more)
    if method == "lokr":
        return peft.LoKrConfig(**scaled, **more)
    if method == "shira":
        return peft.ShiraConfig(r=rank, **more)
    if method == "randlora":
        return peft.RandLoraConfig(r=rank, randlora_alpha=ALPHA, save_projection=True, **more)
    if method == "vera":
        return peft.VeraConfig(r=rank, save_projection=True, **more)
    if method == "ia3":
        return peft.IA3Config(feedforward_modules=[], **more)
    if method == "adalora":  # peft divides by r + 1e-5
        alpha: Any = ALPHA / rank * (rank + 1e-5)
        steps = {"total_step": 10, "tinit": 2, "tfinal": 2}
        return peft.AdaLoraConfig(init_r=rank, target_r=1, lora_alpha=alpha, **steps, **more)
    return peft.LoraConfig(
        r=rank,
        lora_alpha=ALPHA,  # type: ignore[arg-type]
        use_dora=method == "dora",
        use_rslora=method == "rslora",
        **more,
    )


def pefts(layer: Adapted, config: peft.PeftConfig, names: dict[str, str]) -> peft.PeftModel:
    """peft's model on the same base with the tensors of our branch, under its own names."""
    branch, base = layer.branch, layer.base
    dtype = base.weight.dtype
    if isinstance(branch, Shira):
        mask = torch.zeros(base.weight.numel(), dtype=dtype).index_fill(0, branch.places, 1)
        config.mask_fn = lambda *_, **__: mask.view(base.weight.shape)  # type: ignore[attr-defined]
    model = peft.get_peft_model(OneLinear(copy.deepcopy(base)), config).to(dtype)
    theirs = model.get_submodule("base_model.model.proj")
    with torch.no_grad():
        for parameter, name in named(model, names).items():
            tensor = branch.get_parameter(parameter)
            name.copy_(shaped(tensor, name.shape))
        if "lora_A" not in names and hasattr(theirs, "lora_A"):  # frozen, and part of it
            theirs.lora_A["default"].weight.copy_(branch.lora_A)
        if isinstance(branch, Vera):
            theirs.vera_A["default"].copy_(branch.A)
            theirs.vera_B["default"].copy_(branch.B)
        if isinstance(branch, Randlora):
            theirs.randlora_A["default"].copy_(branch.A[:, None])
            theirs.randlora_B["default"].copy_(branch.B.view(len(branch.B), -1, len(branch.A)))
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


def shaped(tensor: Tensor, shape: torch.Size) -> Tensor:
    """As peft has it, or we: its miss_block is our lora_B turned, its vectors have an axis more."""
    return tensor.t() if tensor.shape == shape[::-1] != shape else tensor.view(shape)


def values(layer: nn.Module, tensors: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The output, and the gradients of tensors and input, for one fixed loss."""
    layer.zero_grad()
    weight = next(m for m in layer.modules() if isinstance(m, nn.Linear)).weight
    dtype, (out, into) = weight.dtype, weight.shape
    x = random(2, 4, into, seed=5, dtype=dtype).requires_grad_(True)
    y = layer(x)
    (y * random(2, 4, out, seed=6, dtype=dtype)).sum().backward()
    found = {"output": y.detach(), "input": x.grad}
    found |= {name: tensor.grad for name, tensor in tensors.items()}
    return {name: tensor.clone() for name, tensor in found.items() if tensor is not None}


def differences(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, float]:
    """Of each pair, relative to the larger of its values and 1."""
    assert ours.keys() == theirs.keys()
    return {
        name: float((ours[name] - shaped(other, ours[name].shape)).abs().max())
        / max(1.0, float(other.abs().max()))
        for name, other in theirs.items()
    }
