"""The library's own layout of frozen weights: the same numbers, and never a stale weight."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.adapters.inject import fold, inject, unfold
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.model import reordered
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.gpt2 import Linear
from loraexp.model.reordered import Gelu
from loraexp.model.weights import load_classifier

pytestmark = pytest.mark.skipif(
    not reordered.HAS_BF16, reason="this CPU has no bf16 products (avx512), so they are never used"
)
INTO, OUT, ROWS = 48, 32, 5


def frozen() -> Linear:
    generator = torch.Generator().manual_seed(0)
    layer = Linear(INTO, OUT).requires_grad_(False).bfloat16()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(OUT, INTO, generator=generator) / INTO**0.5)
        layer.bias.copy_(torch.randn(OUT, generator=generator))
    return layer


def rows(n: int = ROWS, width: int = INTO) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1)).bfloat16()


def some_tokens() -> Tensor:
    """(4, 9), the same each time: bf16 rounds one text in some hundreds by a quarter."""
    return torch.randint(0, 256, (4, 9), generator=torch.Generator().manual_seed(0))


def exact(layer: Linear, x: Tensor) -> Tensor:
    return F.linear(x.double(), layer.weight.double(), layer.bias.double())


def off(found: Tensor, wanted: Tensor) -> float:
    """The largest error in units of 2^-8, what rounding once to bf16 may cost of a value."""
    scale = wanted.abs().clamp(min=1.0)
    return float(((found.double() - wanted).abs() / scale).max() * 2**8)


def predicted(layer: Linear, x: Tensor) -> Tensor:
    with torch.no_grad():
        return layer.eval()(x)


def trained(layer: Linear, x: Tensor, *, training: bool = True) -> tuple[Tensor, Tensor]:
    """The output and the gradient of x, for a gradient of ones and twos."""
    x = x.clone().requires_grad_()
    y = layer.train(training)(x)
    y.backward(gradient(y))
    assert x.grad is not None
    return y.detach(), x.grad


def gradient(y: Tensor) -> Tensor:
    return (1.0 + torch.arange(y.numel()) % 2).view(y.shape).to(y.dtype)


def test_predicted_products_are_exact_but_for_rounding() -> None:
    layer, x = frozen(), rows()
    assert off(predicted(layer, x), exact(layer, x)) <= 1.01
    assert layer.reordered.made_of is not None  # it went this way
    assert off(predicted(layer, x), exact(layer, x.roll(1, 0))) > 10


@pytest.mark.parametrize("training", [False, True])
def test_the_gradient_is_exact_but_for_rounding(training: bool) -> None:
    layer, x = frozen(), rows()
    y, g = trained(layer, x, training=training)
    wanted = gradient(y).double() @ layer.weight.double()
    assert off(y, exact(layer, x)) <= 1.01
    assert off(g, wanted) <= 1.01
    assert layer.reordered_back.made_of is not None
    assert off(g, wanted.roll(1, 1)) > 10


def test_gelu_after_a_product_is_gpt2s(tiny: Model) -> None:
    """Fused where it predicts, alone where it trains; both beside float64."""
    block = load_classifier(tiny, Head(), 2, seed=0).requires_grad_(False)
    mlp = block.compute_in(torch.bfloat16).h[0].mlp
    x = rows(7, tiny.d_model)
    inner = F.gelu(exact(mlp.fc1, x), approximate="tanh")
    wanted = F.linear(inner, mlp.fc2.weight.double(), mlp.fc2.bias.double())
    wrong = F.linear(F.gelu(exact(mlp.fc1, x)).relu(), mlp.fc2.weight.double())
    with torch.no_grad():
        found = mlp.eval()(x)
    for y in (found, mlp.train()(x.clone().requires_grad_()).detach()):
        assert off(y, wanted) <= 2
        assert off(y, wrong) > off(y, wanted)


def every_bf16() -> Tensor:
    """All finite values, a multiple of 16 of them."""
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    values = bits.view(torch.bfloat16)
    values = values[values.isfinite()]
    return values[: len(values) // 16 * 16]


def test_gelu_of_every_value_is_at_least_as_near_as_torchs() -> None:
    x = every_bf16()
    x = x[x.abs() < 1e4]  # beyond, x^3 is no float32
    x = x[: len(x) // 16 * 16].view(-1, 16)
    wanted = F.gelu(x.double(), approximate="tanh")
    ours: Tensor = Gelu.apply(x)
    torchs = F.gelu(x, approximate="tanh")
    error = {"ours": ours.double() - wanted, "torch's": torchs.double() - wanted}
    worst = {name: float(e.abs().div(wanted.abs() + 1e-3).max()) for name, e in error.items()}
    assert worst["ours"] <= 1.01 * worst["torch's"]
    assert worst["ours"] <= 2**-8
    other = F.gelu(x.double()) - wanted  # the gelu that GPT-2 does not have
    assert float(other.abs().div(wanted.abs() + 1e-3).max()) > 2**-8


@pytest.mark.parametrize("shape", [(3, 16), (3, 5)])
def test_the_gradient_of_gelu_is_torchs(shape: tuple[int, int]) -> None:
    x = rows(*shape).requires_grad_()
    y: Tensor = Gelu.apply(x)
    y.backward(gradient(y))
    z = x.detach().clone().requires_grad_()
    F.gelu(z, approximate="tanh").backward(gradient(y))
    assert torch.equal(x.grad, z.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["in place", "another tensor"])
@pytest.mark.parametrize("training", [False, True])
def test_a_changed_weight_is_seen(how: str, training: bool) -> None:
    layer, x = frozen(), rows()

    def all_of() -> list[Tensor]:
        return [*trained(layer, x)] if training else [predicted(layer, x)]

    before = all_of()
    changed = -2 * layer.weight.detach()
    with torch.no_grad():
        if how == "in place":
            layer.weight.copy_(changed)
        else:
            layer.weight.data = changed
    after = all_of()
    assert off(after[0], exact(layer, x)) <= 1.01
    if training:
        assert torch.equal(after[1], -2 * before[1])
    assert not torch.equal(after[0], before[0])


def test_a_layout_is_made_only_for_what_is_asked() -> None:
    layer, x = frozen(), rows()
    predicted(layer, x)
    assert layer.reordered.made_of is not None
    assert layer.reordered_back.made_of is None
    trained(layer, x)
    assert layer.reordered_back.made_of == layer.reordered.made_of


def test_a_layout_is_made_once() -> None:
    layer, x = frozen(), rows()
    trained(layer, x)
    made = layer.reordered.layout, layer.reordered_back.layout
    trained(layer, x)
    predicted(layer, x)
    assert layer.reordered.layout is made[0]
    assert layer.reordered_back.layout is made[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_prepares_its_own(copied: object) -> None:
    layer, x = frozen(), rows()
    wanted = predicted(layer, x)
    other = copied(layer)  # type: ignore[operator]
    assert other.reordered is not layer.reordered
    with torch.no_grad():
        layer.weight.zero_()
    assert torch.equal(predicted(other, x), wanted)


@pytest.mark.parametrize("what", ["weight", "bias", "dtype"])
def test_what_trains_or_is_no_bf16_goes_the_plain_way(what: str) -> None:
    layer, x = frozen(), rows()
    if what == "dtype":
        layer.float()(x.float())
    else:
        layer.get_parameter(what).requires_grad_(True)
        trained(layer, x)
        predicted(layer, x)
    assert layer.reordered.made_of is None
    assert layer.reordered_back.made_of is None


def adapted(model: Model) -> GPT2Classifier:
    network = load_classifier(model, Head(), 2, seed=0)
    inject(network, Adaptation(lora=Lora(rank=2)), seed=0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(0.0, 0.3, generator=generator)
    return network.compute_in(torch.bfloat16)


def test_a_network_without_these_names_gives_the_same(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, lengths = some_tokens(), torch.tensor([9, 5, 1, 7])

    def logits_and_gradients() -> list[Tensor]:
        network = adapted(tiny).train()
        network(tokens, lengths).sum().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        with torch.no_grad():
            return [network.eval()(tokens, lengths), *gradients]

    ours = logits_and_gradients()
    monkeypatch.setattr(reordered, "HAS_BF16", False)
    plain = logits_and_gradients()
    for a, b in zip(ours, plain, strict=True):
        assert float((a - b).norm()) <= 0.02 * float(b.norm())
        assert float((a - 1.1 * b).norm()) > 0.02 * float(b.norm())


def test_folding_and_unfolding_are_seen(tiny: Model) -> None:
    network, tokens = adapted(tiny).eval(), some_tokens()
    with torch.no_grad():
        before = network(tokens)
        folded = fold(network)(tokens)
        assert torch.equal(unfold(network)(tokens), before)
    for name, parameter in network.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.zero_()
    with torch.no_grad():
        bare = network(tokens)
    assert float((folded - before).norm()) < 0.1 * float((bare - before).norm())
