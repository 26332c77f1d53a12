"""The shape of an update: as a dense decomposition and peft's own count of intruders have it."""

import re
from dataclasses import replace

import pytest
import torch
from each_method import each_method
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.intruders import reduce_intruder_dimension
from small import tiny_model
from torch import Tensor, nn

from loraexp.adapters.inject import adapter_tensors, inject, linear_names, merge
from loraexp.adapters.methods import as_method
from loraexp.config.schema import Adaptation, Head, Lora
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.tools.update_shape import Base, holding, intruders, left_vectors, shape_of


def base() -> GPT2Classifier:
    return load_classifier(tiny_model(), Head(), 2, seed=0)


def changed(method: str, size: float = 0.3) -> GPT2Classifier:
    """The network with all that the method trains moved at random."""
    network = inject(base(), as_method(Adaptation(lora=Lora(rank=4)), method), seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("method", each_method())
def test_every_method_has_the_shape_of_its_merged_weights(method: str) -> None:
    before = base()
    network, found = changed(method), {t.path: t for t in shape_of(changed(method), Base(before))}
    merged = merge(network)
    for path in linear_names(before):
        old = before.get_submodule(path).get_parameter("weight").detach().double()
        update = merged.get_submodule(path).get_parameter("weight").detach().double() - old
        assert (path in found) == bool(update.any())
        if path not in found:
            continue
        target, values = found[path], torch.linalg.svdvals(update)
        assert target.update == pytest.approx(float(update.norm()), rel=1e-4)
        assert target.weight == pytest.approx(float(old.norm()), rel=1e-6)
        assert target.rank90 == holding(values, 0.9) <= target.rank
        assert float(values[target.rank :].sum()) < 1e-4 * float(values[0])  # no more than it says


def test_a_share_is_of_the_squares() -> None:
    values = torch.tensor([3.0, 2.0, 1.0, 0.0], dtype=torch.float64)  # squares: 9, 4, 1 of 14
    assert [holding(values, share) for share in (0.6, 0.9, 0.95)] == [1, 2, 3]
    assert float(values[0] / values.sum()) < 0.6  # of the values themselves it were another
    assert holding(torch.zeros(4), 0.9) == 0


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.high = nn.Linear(48, 16), nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        return self.high(self.wide(x))


def counted_by_peft(model: nn.Module) -> dict[str, int]:
    said: list[str] = []
    reduce_intruder_dimension(model, logging_sink=said.append)
    found = [re.fullmatch(r"base_model\.model\.(\w+): (?:Intruders: (\d+)|No intruders)", line)
             for line in said]  # fmt: skip
    return {one[1]: int(one[2] or 0) for one in found if one}


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 3.0])
def test_intruders_are_those_that_peft_counts(strength: float) -> None:
    torch.manual_seed(3)
    model = get_peft_model(Layers(), LoraConfig(r=6, lora_alpha=6, target_modules=["wide", "high"]))
    ours = {}
    with torch.no_grad():
        for name in ("wide", "high"):
            layer = model.get_submodule(f"base_model.model.{name}")
            layer.lora_B["default"].weight.normal_(0.0, strength)
            weight = layer.get_base_layer().weight
            after = weight + layer.get_delta_weight("default")
            ours[name] = intruders(left_vectors(weight), after)
    assert ours == counted_by_peft(model)
    assert (sum(ours.values()) > 0) == (strength > 0.0)


def test_a_change_along_the_weights_own_vectors_has_none() -> None:
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    U, S, Vh = torch.linalg.svd(weight, full_matrices=False)
    longer, turned = S * torch.linspace(3, 1, 30), torch.roll(U, 1, 0)
    assert intruders(U, U * longer @ Vh) == 0
    assert intruders(U, turned * longer @ Vh) > 5


def test_a_base_is_decomposed_once() -> None:
    kept = Base(base())
    [*shape_of(changed("lora"), kept)]
    first = dict(kept.vectors)
    [*shape_of(changed("lora", 0.1), kept)]
    assert len(first) == 8
    assert all(kept.vectors[path] is vectors for path, vectors in first.items())


def test_what_changes_no_matrix_has_no_shape() -> None:
    assert [*shape_of(changed("bitfit"), Base(base()))] == []
    lora = Lora(rank=2, target_modules=["score", "q_proj"])
    network = inject(base(), replace(Adaptation(), lora=lora), seed=1)
    paths = [target.path for target in shape_of(network, Base(base()))]
    assert paths == ["h.0.attn.q_proj", "h.1.attn.q_proj"]  # the head is none of the base
