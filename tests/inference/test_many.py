"""Many adapters on one base: each as if it were alone, the base as if there were none."""

import copy
from collections.abc import Mapping

import pytest
import torch
from each_method import each_method
from torch import Tensor, nn

from loraexp.adapters.branches.base import Adapted, Branch
from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.errors import UserError
from loraexp.inference.multi_adapter import MultiAdapter
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier

BRANCHED = [name for name, method in METHODS.items() if method.branch is not None]
# Of different methods, ranks, targets, heads and poolings.
GUESTS = [
    ("lora", 3, ["q_proj", "v_proj"], "last_token", 2),
    ("dora", 2, ["q_proj", "fc1", "fc2"], "mean", 3),
    ("vera", 4, ["all-linear"], "first", 2),
    ("ia3", 1, ["k_proj", "v_proj", "fc2"], "mean", 2),
    ("head", 1, [], "last_position", 4),
]
TOLERANCE = 1e-12


def alone(
    model: Model, method: str, rank: int, targets: list[str], pooling: str, classes: int, seed: int
) -> GPT2Classifier:
    """A network of its own, in float64, its adapter far from the start."""
    network = load_classifier(model, Head(pooling=pooling), classes, seed).double()
    lora = Lora(rank=rank, target_modules=targets or ["q_proj"])
    inject(network, as_method(Adaptation(lora=lora), method), seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.3 * noise
    return network.eval()


def branches_of(network: nn.Module) -> Mapping[str, Branch]:
    return {n: m.branch for n, m in network.named_modules() if isinstance(m, Adapted)}


def together(model: Model, networks: Mapping[str, GPT2Classifier]) -> MultiAdapter:
    many = MultiAdapter(load_classifier(model, Head(), 1, seed=0).double())
    for name, network in networks.items():
        other = copy.deepcopy(network)
        many.add(name, other.pooling, other.score, branches_of(other))
    return many.eval()


@pytest.fixture
def networks(tiny: Model) -> dict[str, GPT2Classifier]:
    found = {f"{guest[0]}.{i}": alone(tiny, *guest, seed=i) for i, guest in enumerate(GUESTS)}
    found["another lora"] = alone(tiny, "lora", 5, ["q_proj"], "mean", 2, seed=9)
    return found


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Eight texts of at most eleven tokens."""
    tokens = torch.randint(0, 257, (8, 11), generator=torch.Generator().manual_seed(3))
    return tokens, torch.tensor([11, 3, 1, 8, 5, 5, 2, 4])


def test_each_adapter_alone_is_what_it_was(
    tiny: Model, networks: dict[str, GPT2Classifier], batch: tuple[Tensor, Tensor]
) -> None:
    many = together(tiny, networks)
    for name, network in [*networks.items(), *reversed(networks.items())]:  # switch back and forth
        assert torch.equal(many(*batch, name), network(*batch))


def test_adapters_off_is_the_base_bit_for_bit(
    tiny: Model, networks: dict[str, GPT2Classifier], batch: tuple[Tensor, Tensor]
) -> None:
    base = load_classifier(tiny, Head(), 1, seed=0).double()
    many = together(tiny, networks)
    for name in networks:
        many(*batch, name)
        assert torch.equal(many.base(*batch, "mean"), base.pooled(*batch, "mean"))
    assert not torch.equal(
        many.base(*batch, "mean"), networks["another lora"].pooled(*batch, "mean")
    )


def test_a_mixed_batch_is_what_separate_passes_give(
    tiny: Model, networks: dict[str, GPT2Classifier], batch: tuple[Tensor, Tensor]
) -> None:
    many = together(tiny, networks)
    names = [*networks, "another lora", "lora.0"]  # two adapters have two texts, three have one
    tokens, lengths = batch
    found = many.mixed(tokens, lengths, names)
    assert found.keys() == networks.keys()
    for name, network in networks.items():
        mine = torch.tensor([own == name for own in names])
        expected = network(tokens, lengths)[mine]
        assert torch.allclose(found[name], expected, rtol=0, atol=TOLERANCE)
    # The control: another adapter's texts would be told apart.
    swapped = many.mixed(tokens, lengths, [*names[1:], names[0]])
    assert (swapped["lora.0"] - found["lora.0"]).abs().max() > 1e-6


@pytest.mark.parametrize("method", each_method(BRANCHED))
def test_every_method_mixes_and_learns_in_a_mixed_batch(
    method: str, tiny: Model, batch: tuple[Tensor, Tensor]
) -> None:
    """peft raises when a mixed batch is to be trained; here each adapter has its own gradient."""
    pair = {
        name: alone(tiny, method, 2, ["v_proj", "fc1"], "last_token", 2, seed)
        for seed, name in enumerate("ab")
    }
    many, (tokens, lengths) = together(tiny, pair), batch
    names = ["a", "b", "b", "a", "b", "a", "a", "b"]
    found = many.mixed(tokens, lengths, names)
    sum(logits.square().sum() for logits in found.values()).backward()  # type: ignore[union-attr]
    for number, (name, network) in enumerate(pair.items()):
        mine = torch.tensor([own == name for own in names])
        network(tokens[mine], lengths[mine]).square().sum().backward()
        for path, branch in branches_of(network).items():
            twin = many.network.get_submodule(path).branches[str(number)]
            for kind, parameter in branch.named_parameters():
                if parameter.requires_grad:
                    grad = twin.get_parameter(kind).grad
                    assert torch.allclose(grad, parameter.grad, rtol=0, atol=1e-11)
                    assert bool(grad.abs().max() > 0)


def test_the_base_is_held_once(tiny: Model) -> None:
    one, many = (
        together(tiny, {str(i): alone(tiny, "lora", 2, ["q_proj"], "mean", 2, i) for i in range(n)})
        for n in (1, 8)
    )
    size = sum(p.numel() for p in many.parameters()) - sum(p.numel() for p in one.parameters())
    d = tiny.d_model
    assert size == 7 * (tiny.n_layer * 2 * 2 * d + 2 * d)  # adapters and heads alone


def test_names_are_unique_and_known(tiny: Model) -> None:
    network = alone(tiny, "lora", 2, ["q_proj"], "mean", 2, 0)
    many = together(tiny, {"a": network})
    with pytest.raises(UserError, match="there is an adapter called a already"):
        many.add("a", "mean", network.score, {})
    with pytest.raises(UserError, match="there is no adapter called b; there are a"):
        many.find("b")
