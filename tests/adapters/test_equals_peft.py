"""On the same tensors every method that peft has gives peft's outputs, gradients and weights."""

import copy
import warnings

import peft
import pytest
import torch
from layers import (
    BRANCHED,
    NAMES,
    RANK,
    OneLinear,
    base_layer,
    differences,
    disturbed,
    named,
    pefts,
    random,
    settings,
    values,
)
from torch import Tensor, nn

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.dense import Loha, Lokr, Randlora, Shira
from loraexp.adapters.branches.from_start import FromStart
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.branches.vera import Vera
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation

# of peft's SHiRA
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def compared(layer: Adapted, model: peft.PeftModel, names: dict[str, str]) -> dict[str, float]:
    """Outputs, gradients and merged weights: how far ours are from peft's."""
    ours = values(layer, {name: layer.branch.get_parameter(name) for name in names})
    theirs = values(model, named(model, names))
    merged = copy.deepcopy(model).merge_and_unload().proj.weight
    ours["merged"], theirs["merged"] = layer.branch.merged(layer.base.weight), merged
    return differences({k: t.detach() for k, t in ours.items()}, theirs)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("method", BRANCHED)
def test_outputs_gradients_and_merged_weights_are_pefts(method: str, dtype: torch.dtype) -> None:
    layer = disturbed(method, dtype)
    found = compared(layer, pefts(layer, settings(method), NAMES[method]), NAMES[method])
    assert found.keys() >= {"output", "input", "merged", *NAMES[method]}
    assert max(found.values()) <= TOLERANCE[dtype], found


OTHERS = {
    "miss whose last shard is cut": ("miss", 3, 7, 5),
    "oft of a single block": ("oft", 6, 6, 5),
    "oft of more outputs": ("oft", 2, 6, 11),
    "lokr with a whole second factor": ("lokr", 4, 9, 7),
    "lokr of composite sides": ("lokr", 2, 12, 20),
    "randlora of more outputs": ("randlora", 2, 6, 11),
    "randlora of equal sides": ("randlora", 3, 6, 6),
    "randlora of one term": ("randlora", 6, 9, 5),
    "shira of two tenths": ("shira", 1, 11, 12),
}


@pytest.mark.parametrize("other", OTHERS)
def test_so_are_those_of_other_shapes(other: str) -> None:
    method, rank, into, out = OTHERS[other]
    layer = disturbed(method, base=base_layer(into=into, out=out), rank=rank)
    names = NAMES[method]
    if (second := "lokr_w2") in dict(layer.branch.named_parameters()):
        names = {"lokr_w1": names["lokr_w1"], second: f"{second}.default"}
    found = compared(layer, pefts(layer, settings(method, rank), names), names)
    assert max(found.values()) <= TOLERANCE[torch.float64], found


@pytest.mark.parametrize("method", [name for name in BRANCHED if METHODS[name].has_rank])
def test_one_percent_in_one_tensor_or_in_the_scaling_is_seen(method: str) -> None:
    """The control, forward and backward: each gradient depends on what the test above compares."""
    layer = disturbed(method)
    model = pefts(layer, settings(method), NAMES[method])
    with torch.no_grad():
        if isinstance(layer.branch, LowRank | Loha | Lokr | Randlora):
            layer.branch.scaling *= 1.01
        elif isinstance(layer.branch, Vera):
            layer.branch.A *= 1.01
        elif isinstance(layer.branch, Shira):
            layer.branch.places = layer.branch.places.roll(1)
        else:  # hira, oft
            layer.base.weight *= 1.01
    found = compared(layer, model, NAMES[method])
    assert min(found.values()) > 1e-5, found
    if isinstance(layer.branch, FromStart):
        layer.branch.scaling /= 1.01
        with torch.no_grad():
            layer.branch.start_A *= 1.01
        found = compared(layer, model, NAMES[method])
        assert min(found[key] for key in ("output", "input", "merged")) > 1e-5
        assert max(found[key] for key in NAMES[method]) <= 1e-12  # it is frozen, as in peft


WIDE = (400, 300)


def quantiles(values: Tensor) -> Tensor:
    return values.detach().double().flatten().quantile(torch.linspace(0.05, 0.95, 19).double())


@pytest.mark.parametrize(
    "method",
    [
        *("adalora", "vera", "dora", "lora_fa", "lora", "rslora"),
        *("hira", "loha", "lokr", "randlora"),
    ],
)
def test_a_branch_starts_at_the_scale_of_pefts(method: str) -> None:
    """Quantiles of some thousand draws agree; what is not drawn is the same number."""
    torch.manual_seed(0)
    base = nn.Linear(*WIDE)
    config = settings(method)
    rank = 16
    if method == "adalora":
        config.init_r = rank  # type: ignore[attr-defined]
    else:
        config.r = rank  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dict(peft.get_peft_model(OneLinear(copy.deepcopy(base)), config).named_buffers())
        model = peft.get_peft_model(OneLinear(copy.deepcopy(base)), config)
    theirs |= {name: p.detach() for name, p in model.named_parameters()}
    config, target = as_method(Adaptation(), method), Target("proj", rank, 16.0)
    generator = torch.Generator().manual_seed(1)
    branch = BRANCHES[METHODS[method].branch or ""].create(base, config, target, generator)
    ours = dict(branch.named_parameters())
    names = {
        **NAMES[method],
        **({"lora_A": "lora_A.default.weight"} if method == "lora_fa" else {}),
    }
    if isinstance(branch, Vera):
        ours |= {"A": branch.A, "B": branch.B}
        names |= {"A": "vera_A.default", "B": "vera_B.default"}
    if isinstance(branch, Randlora):
        ours |= {"A": branch.A, "B": branch.B}
        names |= {"A": "randlora_A.default", "B": "randlora_B.default"}
    if isinstance(branch, Lokr):  # sides of 15 and 20: rank 16 is no help
        names = {name: f"{name}.default" for name in ours}
    assert len(names) >= 2
    for name, other in names.items():
        tensor = next(t for n, t in theirs.items() if n.endswith(other))
        if float(tensor.std()) < 1e-6:
            assert torch.equal(ours[name].view(tensor.shape), tensor), name
        elif name == "lora_magnitude_vector":
            assert torch.allclose(ours[name], tensor, rtol=1e-6)
        else:
            off = (quantiles(ours[name]) - quantiles(tensor)).abs().max()
            assert off < (0.15 if tensor.numel() > 1000 else 0.3) * tensor.std(), name
            assert (
                quantiles(1.5 * ours[name]) - quantiles(tensor)
            ).abs().max() > 0.3 * tensor.std()


@pytest.mark.parametrize("method", ["pissa", "olora"])
def test_pefts_start_is_ours(method: str) -> None:
    layer = disturbed(method)
    config = settings(method, init_lora_weights=method)
    base = copy.deepcopy(layer.base).float()  # peft starts in float32 only
    model = peft.get_peft_model(OneLinear(base), config)
    A, B = named(model, NAMES[method]).values()
    branch = layer.branch
    assert isinstance(branch, FromStart)
    assert (branch.start_B @ branch.start_A - B.double() @ A.double()).abs().max() <= 1e-5
    edited = model.get_submodule("base_model.model.proj.base_layer").weight.double()
    start = branch.scaling * branch.start_B @ branch.start_A
    assert (layer.base.weight - start - edited).abs().max() <= 1e-5
    assert len(A) == RANK


@pytest.mark.parametrize("method", ["pissa", "olora"])
def test_under_dropout_a_start_is_dropped_here_and_not_in_peft(method: str) -> None:
    layer = disturbed(method, dropout=0.5)
    model = pefts(layer, settings(method, lora_dropout=0.5), NAMES[method])
    branch, x = layer.branch, random(9, layer.base.in_features, seed=5)
    assert isinstance(branch, FromStart)
    now = branch.scaling * (branch.lora_B @ branch.lora_A)
    then = branch.scaling * (branch.start_B @ branch.start_A)
    torch.manual_seed(1)
    dropped = torch.nn.functional.dropout(x, 0.5)
    torch.manual_seed(1)
    assert (layer(x) - (layer.base(x) + dropped @ (now - then).t())).abs().max() <= 1e-12
    torch.manual_seed(1)
    assert (model(x) - (layer.base(x) - x @ then.t() + dropped @ now.t())).abs().max() <= 1e-12
    with torch.no_grad():
        branch.lora_A.copy_(branch.start_A)
        branch.lora_B.copy_(branch.start_B)
    assert torch.equal(layer(x), layer.base(x))  # fresh, while training
