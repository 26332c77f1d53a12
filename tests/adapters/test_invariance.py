"""An exact invariance of LoRA under Adam: scales of alpha, of lora_A's start and of the two rates
that cancel leave training as it is, bit for bit (Schulman et al. 2025, "LoRA Without Regret")."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small import tiny_model
from torch import Tensor

from loraexp.adapters.branches.base import adapted_layers
from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.config.schema import Adaptation, Head, Lora
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.training.packs.alone import Alone
from loraexp.training.packs.lockstep import Member, Pack

TOKENS = torch.randint(0, 256, (6, 12), generator=torch.Generator().manual_seed(5))
LENGTHS, CLASSES = torch.tensor([12, 3, 7, 1, 9, 5]), torch.tensor([0, 1, 1, 0, 1, 0])
STEPS, RATE, EPS = 8, 2.0**-6, 2.0**-20


def trained(
    p: float,
    q: float,
    alpha: float,
    eps: tuple[float, float] | None = None,
    member: Alone | None = None,
) -> dict[str, Tensor]:
    """The products s B A and the head after some steps of Adam, lora_A started at p times its
    size, with rates p and q times the common one and Adam's eps divided by the same."""
    lora = Lora(rank=3, alpha=alpha, target_modules=["all-linear"])
    network = inject(
        load_classifier(tiny_model(), Head(), 2, seed=0).double(), Adaptation(lora=lora), seed=1
    )
    member = member or Alone()
    member.join(network, "")
    tensors = adapter_tensors(network)
    of_A, of_B, head = (
        [t for name, t in tensors.items() if name.rpartition(".")[2] == kind]
        for kind in ("lora_A", "lora_B", "weight")
    )
    with torch.no_grad():
        for tensor in of_A:
            tensor.mul_(p)
    eps_A, eps_B = eps or (EPS / p, EPS / q)
    groups: list[dict[str, Any]] = [
        {"params": of_A, "lr": p * RATE, "eps": eps_A},
        {"params": of_B, "lr": q * RATE, "eps": eps_B},
        {"params": head, "lr": RATE, "eps": EPS},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0, foreach=False)
    for _ in range(STEPS):
        optimizer.zero_grad()
        member.backward(F.cross_entropy(member.logits(TOKENS, LENGTHS), CLASSES))
        optimizer.step()
    return products(network) | {"head": head[0].detach().clone()}


def products(network: GPT2Classifier) -> dict[str, Tensor]:
    factors = {name: layer.branch.factors() for name, layer in adapted_layers(network).items()}
    return {name: s * (B @ A) for name, (A, B, s) in factors.items()}


POWERS = st.integers(-6, 6).map(lambda n: 2.0**n)


@settings(max_examples=10, deadline=None)
@given(p=POWERS, q=POWERS)
def test_scales_that_cancel_change_no_bit(p: float, q: float) -> None:
    wanted, found = trained(1.0, 1.0, 8.0), trained(p, q, 8.0 / (p * q))
    for name, product in wanted.items():
        assert product.any()
        assert torch.equal(found[name], product), name


@settings(max_examples=5, deadline=None)
@given(scales=st.lists(st.tuples(POWERS, POWERS), min_size=2, max_size=3))
def test_nor_do_they_in_a_pack(scales: list[tuple[float, float]]) -> None:
    """Runs in step whose scales cancel, each by its own, beside a pack without any: in the same
    place, for a product of many rows may round each of them in another way."""

    def packed(scales: list[tuple[float, float]]) -> dict[int, dict[str, Tensor]]:
        found: dict[int, dict[str, Tensor]] = {}

        def work(member: Member) -> None:
            p, q = scales[member.number]
            found[member.number] = trained(p, q, 8.0 / (p * q), member=member)

        Pack([work] * len(scales)).run()
        return found

    left, right = packed([(1.0, 1.0), *scales]), packed([(1.0, 1.0)] * (1 + len(scales)))
    for number, products in left.items():
        for name, product in products.items():
            assert torch.equal(right[number][name], product), name


@pytest.mark.parametrize(
    ("alpha", "eps"), [(8.0, None), (8.0 / 8, (EPS, EPS))], ids=["alpha kept", "eps kept"]
)
def test_scales_that_do_not_cancel_are_seen(alpha: float, eps: tuple[float, float] | None) -> None:
    wanted, found = trained(1.0, 1.0, 8.0), trained(4.0, 2.0, alpha, eps)
    assert not all(torch.equal(found[name], product) for name, product in wanted.items())
