"""Adapters add, cancel, scale and are cut as the matrices they stand for; peft's do not all."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from loraexp.adapters.algebra import LowRankChange, change_of, cutting, truncate, weighted_sum
from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted, adapted_layers
from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Lora
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier

BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]
KINDS = {name: BRANCHES[METHODS[name].branch or ""] for name in BRANCHED}
ADDITIVE = [name for name, kind in KINDS.items() if kind.additive and kind.has_factors]
REFUSED = [name for name in BRANCHED if name not in ADDITIVE]


def moved(network: GPT2Classifier, method: str, seed: int = 0, rank: int = 3) -> GPT2Classifier:
    """A copy with an adapter that is far from its start, in float64."""
    config = as_method(Adaptation(lora=Lora(rank=rank)), method)
    network = inject(copy.deepcopy(network).double(), config, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.3 * noise
    return network


def dense(change: dict[str, LowRankChange]) -> dict[str, Tensor]:
    return {name: part.dense() for name, part in change.items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("method", ADDITIVE)
def test_a_change_is_what_merging_adds(network: GPT2Classifier, method: str) -> None:
    adapted = moved(network, method)
    deltas = {
        name: module.branch.delta(module.base.weight).detach()
        for name, module in adapted.named_modules()
        if isinstance(module, Adapted)
    }
    change = dense(change_of(adapted))
    assert distance(change, deltas) <= 1e-12
    assert min(float(delta.abs().max()) for delta in deltas.values()) > 1e-3


@pytest.mark.parametrize("method", ADDITIVE)
@settings(deadline=None, max_examples=5)
@given(weights=st.tuples(st.floats(-3, 3), st.floats(-3, 3)), data=st.data())
def test_sums_are_linear_and_a_change_less_itself_is_nothing(
    method: str, weights: tuple[float, float], data: st.DataObject
) -> None:
    ranks = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    one, other = small_change(method, 1, ranks[0]), small_change(method, 2, ranks[1])
    a, b = weights
    total = dense(weighted_sum([one, other], weights))
    expected = {name: a * one[name].dense() + b * other[name].dense() for name in one}
    assert distance(total, expected) <= 1e-12
    nothing = dense(weighted_sum([one, one], [1.0, -1.0]))
    assert max(float(t.abs().max()) for t in nothing.values()) <= 1e-12
    same = dense(weighted_sum([one], [1.0]))
    assert distance(same, dense(one)) == 0.0
    swapped = dense(weighted_sum([other, one], (b, a)))
    assert distance(total, swapped) <= 1e-12


def small_change(method: str, seed: int, rank: int) -> dict[str, LowRankChange]:
    """Of one layer (5, 7)."""
    config = as_method(Adaptation(lora=Lora(rank=rank)), method)
    base = nn.Linear(7, 5, dtype=torch.float64)
    kind = BRANCHES[METHODS[method].branch or ""]
    generator = torch.Generator().manual_seed(seed)
    branch = kind.create(base, config, Target("proj", rank, 16.0), generator).double()
    with torch.no_grad():
        for parameter in branch.parameters():
            if parameter.requires_grad:
                parameter += torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return change_of(nn.ModuleDict({"proj": Adapted(base, branch)}))


def test_targets_that_one_of_them_lacks_keep_what_the_other_gives() -> None:
    one, other = small_change("lora", 1, 2), small_change("lora", 2, 2)
    total = weighted_sum([{"a": one["proj"]}, {"b": other["proj"]}], [1.0, 2.0])
    assert torch.equal(total["a"].dense(), one["proj"].dense())
    assert torch.allclose(total["b"].dense(), 2 * other["proj"].dense())


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_a_cut_is_the_best_of_its_rank_and_says_what_it_lost(
    held: int, rank: int, seed: int
) -> None:
    change = small_change("lora", seed, held)
    cut = truncate(change, rank)
    matrix = change["proj"].dense()
    S = torch.linalg.svdvals(matrix)
    lost = torch.linalg.matrix_norm(matrix - cut.change["proj"].dense())
    assert cut.change["proj"].rank == min(rank, held, 5)
    assert float(lost) == pytest.approx(float(S[rank:].square().sum().sqrt()), abs=1e-9)
    assert cut.error == pytest.approx(float(lost / S.square().sum().sqrt()), abs=1e-9)


def test_a_change_of_nothing_loses_nothing() -> None:
    nothing = {"proj": LowRankChange(torch.zeros(2, 7).double(), torch.zeros(5, 2).double())}
    assert truncate(nothing, 1).error == 0.0


@pytest.mark.parametrize("method", REFUSED)
def test_what_is_no_low_rank_change_is_refused_with_the_reason(
    network: GPT2Classifier, method: str
) -> None:
    why = "is of no low rank" if KINDS[method].additive else "depends on the weight"
    message = rf"^h\.0\.\S+: the change that {method} makes {why}, so it [^\n]*merge it instead$"
    with pytest.raises(UserError, match=message):
        change_of(moved(network, method, rank=4))


def test_nothing_is_no_change(network: GPT2Classifier) -> None:
    with pytest.raises(UserError, match="this run has no low-rank adapter"):
        change_of(network)


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_nested_ranks_are_cut_as_they_were_trained(network: GPT2Classifier, rank: int) -> None:
    plain, network = network, moved(network, "dylora")
    cut, most, nested = cutting(network)
    assert (most, nested) == (3, True)
    assert cutting(moved(plain, "lora"))[2] is False
    found, b = cut(rank), min(rank, 3)
    lost = whole = 0.0
    for name, layer in adapted_layers(network).items():
        A, B, _ = layer.branch.factors()
        kept, full = 16 / b * (B[:, :b] @ A[:b]), 16 / 3 * (B @ A)
        assert (found.change[name].dense() - kept).abs().max() <= 1e-12
        lost += float((full - kept).square().sum())
        whole += float(full.square().sum())
    assert found.error == pytest.approx((lost / whole) ** 0.5, abs=1e-7)
