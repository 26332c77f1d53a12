"""The branches beside plain LoRA, against peft's and the papers' formulas."""

import copy
from typing import Any

import peft
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches import Adapted, Branch
from loraexp.adapters.inject import adapter_tensors, inject, saved_tensors
from loraexp.adapters.methods import METHODS, as_method, check_method
from loraexp.adapters.starts import FromStart, olora, pissa
from loraexp.adapters.variants import BRANCHES, Dora, Vera, endless
from loraexp.config import Adaptation, LastBlock, Lora, Optim
from loraexp.errors import UserError
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.training.module import FineTuning

IN, OUT, RANK, ALPHA = 7, 5, 3, 6.0
BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]


class OneLinear(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.proj = base

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def base_layer() -> nn.Linear:
    base = nn.Linear(IN, OUT, dtype=torch.float64).requires_grad_(False)
    base.weight.copy_(random(OUT, IN, seed=1))
    base.bias.copy_(random(OUT, seed=2))
    return base


def adapted(method: str, **lora: Any) -> Adapted:
    """One layer with a fresh branch of `method`, all in float64."""
    config = as_method(Adaptation(lora=Lora(rank=RANK, alpha=ALPHA, **lora)), method)
    base, kind = base_layer(), BRANCHES[METHODS[method].branch or ""]
    generator = torch.Generator().manual_seed(0)
    branch = kind.create(base, config.lora, RANK, ALPHA, generator).double()
    return Adapted(base, branch)


def disturbed(method: str, **lora: Any) -> Adapted:
    layer = adapted(method, **lora)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.branch.parameters()):
            if parameter.requires_grad:
                parameter += 0.3 * random(*parameter.shape, seed=10 + seed)
    return layer


def pefts(layer: Adapted, config: peft.PeftConfig, names: dict[str, str]) -> peft.PeftModel:
    """peft's model on the same base with the tensors of our branch, under its own names."""
    model = peft.get_peft_model(OneLinear(base_layer()), config).double()
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for ours, name in names.items():
            (tensor,) = [p for n, p in theirs.items() if n.endswith(name)]
            tensor.copy_(dict(layer.branch.named_parameters())[ours])
    return model


def values(layer: nn.Module, tensors: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of tensors and input, for one fixed loss."""
    x = random(2, 4, IN, seed=5).requires_grad_(True)
    y = layer(x)
    (y * random(2, 4, OUT, seed=6)).sum().backward()
    assert x.grad is not None
    return [y.detach(), x.grad, *(t.grad for t in tensors if t.grad is not None)]


def largest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    assert len(ours) == len(theirs) >= 4
    return max(float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True))


DORA = {
    "lora_A": "lora_A.default.weight",
    "lora_B": "lora_B.default.weight",
    "lora_magnitude_vector": "lora_magnitude_vector.default.weight",
}


@pytest.mark.parametrize("scaled", [1.0, 1.01])
def test_dora_equals_pefts(scaled: float) -> None:
    layer = disturbed("dora")
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, use_dora=True, target_modules=["proj"])
    model = pefts(layer, config, DORA)
    assert isinstance(layer.branch, Dora)
    layer.branch.scaling *= scaled  # the control: one percent off
    ours = values(layer, [layer.branch.get_parameter(name) for name in DORA])
    by_name = dict(model.named_parameters())
    pick = [p for end in DORA.values() for n, p in by_name.items() if n.endswith(end)]
    difference = largest(ours, values(model, pick))
    merged = copy.deepcopy(model).merge_and_unload().proj.weight
    off = float((layer.branch.merged(layer.base.weight) - merged).detach().abs().max())
    if scaled == 1.0:
        assert max(difference, off) <= 1e-12
    else:
        assert min(difference, off) > 1e-4


def test_dora_under_dropout_equals_pefts() -> None:
    layer = disturbed("dora", dropout=0.5)
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, use_dora=True, target_modules=["proj"], lora_dropout=0.5
    )
    model, x = pefts(layer, config, DORA), random(3, IN, seed=5)
    torch.manual_seed(1)
    ours = layer(x)
    torch.manual_seed(1)
    assert (ours - model(x)).abs().max() <= 1e-12
    assert (ours - layer.eval()(x)).abs().max() > 1e-2


def test_vera_equals_pefts_on_the_same_matrices() -> None:
    layer = disturbed("vera")
    config = peft.VeraConfig(r=RANK, target_modules=["proj"], save_projection=True)
    names = {"vera_lambda_d": "vera_lambda_d.default", "vera_lambda_b": "vera_lambda_b.default"}
    model = pefts(layer, config, names)
    branch = layer.branch
    assert isinstance(branch, Vera)
    with torch.no_grad():
        theirs = model.get_submodule("base_model.model.proj")
        theirs.vera_A["default"].copy_(branch.A)
        theirs.vera_B["default"].copy_(branch.B)
    tensors = [branch.vera_lambda_d, branch.vera_lambda_b]
    by_name = dict(model.named_parameters())
    pick = [p for end in names.values() for n, p in by_name.items() if n.endswith(end)]
    assert largest(values(layer, tensors), values(model, pick)) <= 1e-12
    merged = copy.deepcopy(model).merge_and_unload().proj.weight
    assert (branch.merged(layer.base.weight) - merged).abs().max() <= 1e-12
    with torch.no_grad():
        branch.A[0, 0] += 0.01  # the control
    assert (layer(x := random(3, IN, seed=5)) - model(x)).abs().max() > 1e-5


def test_the_matrices_of_vera_are_one_matrix_cut_to_size() -> None:
    large, small = endless(9, 11, 0), endless(4, 5, 0)
    assert (large[:4, :5] == small).all()
    assert (endless(4, 5, 1) != small).all()
    many = endless(200, 300, 0)
    assert -1 <= many.min() < -0.999
    assert 0.999 < many.max() < 1
    assert abs(many.mean()) < 0.01
    assert many.std() == pytest.approx(3**-0.5, rel=0.01)


@pytest.mark.parametrize("method", ["pissa", "olora"])
def test_a_start_from_the_weight_equals_pefts_with_its_edited_base(method: str) -> None:
    layer = disturbed(method)
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=["proj"], init_lora_weights=method
    )
    # peft starts in float32 only
    model = peft.get_peft_model(OneLinear(base_layer().float()), config).double()
    theirs = model.get_submodule("base_model.model.proj")
    A, B = theirs.lora_A["default"].weight, theirs.lora_B["default"].weight
    branch = layer.branch
    assert isinstance(branch, FromStart)
    own = (branch.start_B @ branch.start_A).detach()
    assert (own - (B @ A).detach()).abs().max() <= 1e-5  # the same start
    with torch.no_grad():  # from here on peft moves as ours did, from its own start
        theirs.base_layer.weight.copy_(base_layer().weight - branch.scaling * own)
        theirs.base_layer.bias.copy_(base_layer().bias)
        A.copy_(branch.lora_A)
        B.copy_(branch.lora_B)
    assert largest(values(layer, [branch.lora_A, branch.lora_B]), values(model, [A, B])) <= 1e-12
    merged = copy.deepcopy(model).merge_and_unload().proj.weight
    assert (branch.merged(layer.base.weight) - merged).abs().max() <= 1e-12
    with torch.no_grad():
        branch.start_A *= 1.01  # the control
    assert (layer(x := random(3, IN, seed=5)) - model(x)).abs().max() > 1e-4


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
    weight = layer.branch.merged(layer.base.weight)
    assert (F.linear(x, weight, layer.base.bias) - layer(x)).abs().max() <= 1e-12
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
    network.checkpointing = True
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


def test_lora_plus_gives_b_its_own_rate_as_pefts_optimizer_does(network: GPT2Classifier) -> None:
    from peft.optimizers import create_loraplus_optimizer

    inject(network, Adaptation("lora_plus"), seed=1)
    module = FineTuning(network, Optim(lr=1e-3), 2, lr_ratio=16.0)
    rates = {id(p): group.get("lr", 1e-3) for group in module.groups() for p in group["params"]}
    ours = {name: rates[id(p)] for name, p in adapter_tensors(network).items()}
    assert {rate for name, rate in ours.items() if name.endswith("lora_B")} == {16e-3}
    assert {rate for name, rate in ours.items() if not name.endswith("lora_B")} == {1e-3}
    model = peft.get_peft_model(
        OneLinear(base_layer()), peft.LoraConfig(r=2, target_modules=["proj"])
    )
    theirs = create_loraplus_optimizer(model, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16.0)
    named = {id(p): name for name, p in model.named_parameters()}
    for group in theirs.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == (16e-3 if "lora_B" in named[id(parameter)] else 1e-3)


@pytest.mark.parametrize(
    ("method", "lora", "message"),
    [
        ("rslora", Lora(), "method=rslora needs lora.scaling=alpha_over_sqrt_r, got alpha_over_r"),
        ("pissa", Lora(init="olora"), "method=pissa needs lora.init=pissa, got olora"),
        ("lora", Lora(init="pissa"), "lora.init=pissa belongs to method=pissa, got method=lora"),
    ],
)
def test_a_key_that_contradicts_its_method_is_refused(
    method: str, lora: Lora, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_method(Adaptation(method, lora=lora))
    check_method(as_method(Adaptation(method, lora=lora), method))
