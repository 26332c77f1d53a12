"""LowRank against peft's LoRA and a naive loop: outputs, gradients, merged weights, starts."""

import copy
import math
from collections.abc import Callable
from dataclasses import fields

import peft
import pytest
import torch
import torch.nn.functional as F
from layers import OneLinear, random
from torch import Tensor, nn

from loraexp.adapters.branches.base import SCALINGS, Adapted
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Lora

IN, OUT, RANK, ALPHA = 6, 5, 4, 6.0
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
# peft's flag use_rslora for the two scalings that it has.
RSLORA = {"alpha_over_r": False, "alpha_over_sqrt_r": True}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def base_layer(dtype: torch.dtype) -> nn.Linear:
    base = nn.Linear(IN, OUT, dtype=dtype).requires_grad_(False)
    base.weight.copy_(random(OUT, IN, dtype=dtype, seed=1))
    base.bias.copy_(random(OUT, dtype=dtype, seed=2))
    return base


def ours(scaling: float, dtype: torch.dtype) -> Adapted:
    lora_A, lora_B = random(RANK, IN, dtype=dtype, seed=3), random(OUT, RANK, dtype=dtype, seed=4)
    return Adapted(base_layer(dtype), LowRank(lora_A, lora_B, scaling, dropout=0.0))


def theirs(use_rslora: bool, dtype: torch.dtype) -> peft.PeftModel:
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, use_rslora=use_rslora, target_modules=["proj"]
    )
    model = peft.get_peft_model(OneLinear(base_layer(dtype)), config).to(dtype)
    with torch.no_grad():
        layer = peft_layer(model)
        layer.lora_A["default"].weight.copy_(random(RANK, IN, dtype=dtype, seed=3))
        layer.lora_B["default"].weight.copy_(random(OUT, RANK, dtype=dtype, seed=4))
    return model


def peft_layer(model: peft.PeftModel) -> nn.Module:
    return model.get_submodule("base_model.model.proj")


def output_and_gradients(
    layer: Callable[[Tensor], Tensor], lora_A: Tensor, lora_B: Tensor
) -> list[Tensor]:
    """The output and the gradients of A, B and the input, for one fixed loss."""
    x = random(2, 3, IN, dtype=lora_A.dtype, seed=5).requires_grad_(True)
    y = layer(x)
    (y * random(2, 3, OUT, dtype=y.dtype, seed=6)).sum().backward()
    gradients = [t.grad for t in (lora_A, lora_B, x)]
    assert all(gradient is not None for gradient in gradients)
    return [y.detach(), *(g for g in gradients if g is not None)]


def our_values(scaling: str, dtype: torch.dtype) -> list[Tensor]:
    adapted = ours(SCALINGS[scaling](ALPHA, RANK), dtype)
    branch = adapted.branch
    assert isinstance(branch, LowRank)
    values = output_and_gradients(adapted, branch.lora_A, branch.lora_B)
    return [*values, branch.merged(adapted.base.weight).detach()]


def peft_values(use_rslora: bool, dtype: torch.dtype) -> list[Tensor]:
    model = theirs(use_rslora, dtype)
    layer = peft_layer(model)
    values = output_and_gradients(
        model, layer.lora_A["default"].weight, layer.lora_B["default"].weight
    )
    merged = copy.deepcopy(model).merge_and_unload().proj.weight.detach()
    return [*values, merged]


def largest_differences(a: list[Tensor], b: list[Tensor]) -> list[float]:
    """Of each pair, relative to the larger of its values and 1."""
    return [
        float((x - y).abs().max() / max(1.0, float(y.abs().max())))
        for x, y in zip(a, b, strict=True)
    ]


@dtypes
@pytest.mark.parametrize("scaling", RSLORA)
def test_output_gradients_and_merged_weight_equal_pefts(scaling: str, dtype: torch.dtype) -> None:
    differences = largest_differences(
        our_values(scaling, dtype), peft_values(RSLORA[scaling], dtype)
    )
    assert max(differences) <= TOLERANCE[dtype]


@dtypes
@pytest.mark.parametrize("scaling", RSLORA)
def test_with_the_scalings_swapped_nothing_equals_pefts(scaling: str, dtype: torch.dtype) -> None:
    differences = largest_differences(
        our_values(scaling, dtype), peft_values(not RSLORA[scaling], dtype)
    )
    assert min(differences) > 1e-2


def naive(x: Tensor, base: nn.Linear, lora_A: Tensor, lora_B: Tensor, scaling: float) -> Tensor:
    """y[n, o] = W[o] x[n] + b[o] + scaling * sum_r B[o, r] sum_i A[r, i] x[n, i], term by term."""
    W, b, A, B = (t.tolist() for t in (base.weight, base.bias, lora_A, lora_B))
    rows = []
    for row in x.tolist():
        low = [sum(A[r][i] * row[i] for i in range(IN)) for r in range(RANK)]
        rows.append(
            [
                sum(W[o][i] * row[i] for i in range(IN))
                + b[o]
                + scaling * sum(B[o][r] * low[r] for r in range(RANK))
                for o in range(OUT)
            ]
        )
    return torch.tensor(rows, dtype=torch.float64)


SCALED = {"alpha_over_r": 6 / 4, "alpha_over_sqrt_r": 6 / 2, "alpha": 6.0}


@pytest.mark.parametrize("name", SCALINGS)
def test_output_equals_a_naive_loop(name: str) -> None:
    adapted, x = ours(SCALINGS[name](ALPHA, RANK), torch.float64), random(3, IN)
    tensors = [t.detach() for t in adapted.branch.parameters()]
    wanted = naive(x, adapted.base, tensors[0], tensors[1], SCALED[name])
    assert (adapted(x) - wanted).abs().max() <= 1e-12
    transposed = naive(x, adapted.base, tensors[0].flip(0), tensors[1], SCALED[name])
    assert (adapted(x) - transposed).abs().max() > 1e-2


def test_the_config_offers_exactly_the_scalings_there_are() -> None:
    (rule,) = (field.metadata for field in fields(Lora) if field.name == "scaling")
    assert set(rule["choices"]) == set(SCALINGS)


def fresh(lora: Lora, base: nn.Linear, seed: int = 0) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    target = Target("proj", lora.rank, lora.alpha)
    return LowRank.create(base, Adaptation(lora=lora), target, generator)


WIDE = nn.Linear(400, 300)


def pefts_start(init: bool | str) -> tuple[Tensor, Tensor]:
    config = peft.LoraConfig(r=16, init_lora_weights=init, target_modules=["proj"])
    torch.manual_seed(0)
    layer = peft_layer(peft.get_peft_model(OneLinear(copy.deepcopy(WIDE)), config))
    return layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()


def quantiles(values: Tensor) -> Tensor:
    return values.flatten().quantile(torch.linspace(0.05, 0.95, 19))


@pytest.mark.parametrize(("init", "pefts"), [("kaiming", True), ("gaussian", "gaussian")])
def test_a_branch_starts_from_the_same_distribution_as_pefts(init: str, pefts: bool | str) -> None:
    lora_A, lora_B = pefts_start(pefts)
    branch = fresh(Lora(rank=16, init=init), WIDE)
    difference = (quantiles(branch.lora_A.detach()) - quantiles(lora_A)).abs().max()
    assert difference < 0.15 * lora_A.std()  # of 6,400 draws: some four standard errors
    assert not lora_B.any()
    assert not branch.lora_B.any()


def test_kaiming_draws_torchs_own_numbers_within_one_over_root_in() -> None:
    generator = torch.Generator().manual_seed(5)
    wanted = nn.init.kaiming_uniform_(torch.empty(8, 400), a=math.sqrt(5), generator=generator)
    lora_A = fresh(Lora(rank=8), WIDE, seed=5).lora_A.detach()
    assert torch.allclose(lora_A, wanted, rtol=1e-6, atol=0)
    assert 0.99 / 20 < lora_A.abs().max() <= 1 / 20


def test_dropout_acts_on_the_branchs_input_while_training_only() -> None:
    adapted, x = ours(1.5, torch.float64), random(50, IN)
    branch = adapted.branch
    assert isinstance(branch, LowRank)
    without = adapted(x)
    branch.dropout.p = 0.5
    torch.manual_seed(1)
    trained = adapted(x)
    torch.manual_seed(1)
    low = F.dropout(x, 0.5) @ branch.lora_A.T @ branch.lora_B.T  # (50, OUT)
    assert (trained - adapted.base(x) - 1.5 * low).abs().max() <= 1e-12
    assert (trained - without).abs().max() > 1e-2
    assert torch.equal(adapted.eval()(x), without)


def test_a_bf16_input_leaves_the_branch_in_float32_and_the_output_in_bf16() -> None:
    branch = fresh(Lora(), nn.Linear(IN, OUT))
    x, y = random(2, IN, dtype=torch.bfloat16), random(2, OUT, dtype=torch.bfloat16)
    assert branch(x, y, nn.Linear(IN, OUT)).dtype == torch.bfloat16
    assert {parameter.dtype for parameter in branch.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_weight_is_rounded_once_when_merged(dtype: torch.dtype) -> None:
    adapted = ours(1.5, torch.float32)
    lora_A, lora_B = (t.detach() for t in adapted.branch.parameters())
    weight, delta = adapted.base.weight.to(dtype), 1.5 * (lora_B @ lora_A)
    exact = weight.double() + 1.5 * (lora_B.double() @ lora_A.double())
    assert torch.equal(adapted.branch.merged(weight), exact.to(dtype))
    twice = (weight.double() + delta.to(dtype).double()).to(dtype)
    assert not torch.equal(twice, exact.to(dtype))


@pytest.mark.parametrize("rank", [4, IN, 2 * IN])
def test_orthogonal_gives_orthonormal_rows_or_columns_and_no_change(rank: int) -> None:
    base = nn.Linear(IN, OUT)
    A = fresh(Lora(rank=rank, init="orthogonal"), base).lora_A.detach().double()
    gram = A @ A.t() if rank <= IN else A.t() @ A
    assert (gram - torch.eye(min(rank, IN))).abs().max() <= 1e-6
    other = fresh(Lora(rank=rank), base).lora_A.detach().double()  # the control: kaiming
    gram = other @ other.t() if rank <= IN else other.t() @ other
    assert (gram - torch.eye(min(rank, IN))).abs().max() > 1e-2
    again = fresh(Lora(rank=rank, init="orthogonal"), base, seed=1).lora_A.detach().double()
    assert not torch.equal(again, A)


def test_book_draws_over_the_rank_as_the_tutorials_call_does() -> None:
    A = fresh(Lora(rank=16, init="book"), WIDE, seed=5).lora_A.detach()
    bound = 1 / math.sqrt(16)
    assert 0.99 * bound < A.abs().max() <= bound
    assert not fresh(Lora(rank=16, init="book"), WIDE).lora_B.any()
    generator = torch.Generator().manual_seed(5)  # its A is (in, r), so torch takes r for fan-in
    theirs = nn.init.kaiming_uniform_(torch.empty(400, 16), a=math.sqrt(5), generator=generator)
    assert (quantiles(A) - quantiles(theirs)).abs().max() < 0.15 * theirs.std()
    kaiming = fresh(Lora(rank=16), WIDE).lora_A.detach()  # the control: over in
    assert (quantiles(kaiming) - quantiles(theirs)).abs().max() > theirs.std()
