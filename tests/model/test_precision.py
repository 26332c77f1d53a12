"""bf16 on a CPU: two attention branches that agree, and float32 for everything that trains."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.config import Head, Model
from loraexp.model.gpt2 import PLAIN_ATTENTION, GPT2Classifier, attention
from loraexp.model.weights import load_classifier

SHORT = 17


def queries_keys_values(T: int, dtype: torch.dtype) -> list[Tensor]:
    """Three tensors (B, H, T, D) that bf16 holds exactly, whatever `dtype`."""
    generator = torch.Generator().manual_seed(0)
    rounded = (torch.randn(2, 3, T, 8, generator=generator).bfloat16() for _ in range(3))
    return [tensor.to(dtype).requires_grad_() for tensor in rounded]


def attention_by_hand(q: Tensor, k: Tensor, v: Tensor, wrong: str = "") -> Tensor:
    """One query at a time over what came before it, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    scale = 1.0 if wrong == "not scaled" else 1 / math.sqrt(q.shape[-1])
    rows = []
    for t in range(q.shape[-2]):
        seen = slice(None) if wrong == "sees the future" else slice(t + 1)
        scores = (k[:, :, seen] * q[:, :, t, None]).sum(-1) * scale  # (B, H, seen)
        rows.append((scores.softmax(-1)[..., None] * v[:, :, seen]).sum(-2))  # (B, H, D)
    return torch.stack(rows, dim=-2)


def distance(a: Tensor, b: Tensor) -> float:
    return (a.double() - b.double()).abs().max().item()


@pytest.fixture
def plain_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends float64 down the branch written for bf16, where rounding hides nothing."""
    monkeypatch.setattr(torch, "bfloat16", torch.float64)


def without_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("fused")

    monkeypatch.setattr(F, "scaled_dot_product_attention", refuse)


def test_fused_attention_equals_a_loop() -> None:
    q, k, v = queries_keys_values(SHORT, torch.float64)
    assert distance(attention(q, k, v, None, 0.0), attention_by_hand(q, k, v)) <= 1e-12


@pytest.mark.parametrize("T", [1, SHORT, PLAIN_ATTENTION, PLAIN_ATTENTION + 1])
def test_attention_in_bf16_is_near_a_loop(T: int) -> None:
    q, k, v = queries_keys_values(T, torch.bfloat16)
    assert distance(attention(q, k, v, None, 0.0), attention_by_hand(q, k, v)) <= 3e-2


@pytest.mark.parametrize("wrong", ["not scaled", "sees the future"])
def test_wrong_attention_is_far_from_ours_in_bf16(wrong: str) -> None:
    q, k, v = queries_keys_values(SHORT, torch.bfloat16)
    assert distance(attention(q, k, v, None, 0.0), attention_by_hand(q, k, v, wrong)) > 0.3


def test_short_texts_in_bf16_take_the_plain_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    without_fused_kernel(monkeypatch)
    attention(*queries_keys_values(PLAIN_ATTENTION, torch.bfloat16), None, 0.0)
    for T, dtype in ((PLAIN_ATTENTION + 1, torch.bfloat16), (SHORT, torch.float32)):
        with pytest.raises(AssertionError, match="fused"):
            attention(*queries_keys_values(T, dtype), None, 0.0)


def test_the_plain_branch_equals_the_fused_one(
    plain_in_float64: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, k, v = queries_keys_values(SHORT, torch.float64)
    fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    without_fused_kernel(monkeypatch)
    assert distance(attention(q, k, v, None, 0.0), fused) <= 1e-6  # softmax in float32


def test_gradients_of_the_plain_branch_equal_those_of_the_fused_one(
    plain_in_float64: None,
) -> None:
    inputs = queries_keys_values(SHORT, torch.float64)
    fused = F.scaled_dot_product_attention(*inputs, is_causal=True).square().sum()
    plain = attention(*inputs, None, 0.0).square().sum()
    for a, b in zip(
        torch.autograd.grad(fused, inputs), torch.autograd.grad(plain, inputs), strict=True
    ):
        assert distance(a, b) <= 1e-5 < a.abs().max()


@pytest.fixture
def half_trained(tiny: Model) -> GPT2Classifier:
    """A base of which one linear, one embedding and the head train, in bf16."""
    network = load_classifier(tiny, Head(bias=True), 3, seed=0).requires_grad_(False)
    for part in (network.h[1].attn.q_proj, network.wpe, network.score):
        part.requires_grad_(True)
    return network.compute_in(torch.bfloat16)


def test_frozen_linears_and_embeddings_are_stored_in_bf16(half_trained: GPT2Classifier) -> None:
    frozen = [
        parameter.dtype
        for module in half_trained.modules()
        if isinstance(module, (nn.Linear, nn.Embedding))
        for parameter in module.parameters(recurse=False)
        if not parameter.requires_grad
    ]
    assert frozen == [torch.bfloat16] * (1 + 2 * 11)  # wte; weight and bias of 12 linears less one


def test_layer_norms_and_what_trains_stay_in_float32(half_trained: GPT2Classifier) -> None:
    full = {name for name, p in half_trained.named_parameters() if p.dtype == torch.float32}
    norms = {name for name, _ in half_trained.named_parameters() if ".ln_" in f".{name}"}
    trains = {name for name, p in half_trained.named_parameters() if p.requires_grad}
    assert len(norms) == 2 * 5
    assert len(trains) == 5
    assert full == norms | trains


def test_gradients_are_in_float32(half_trained: GPT2Classifier) -> None:
    half_trained(torch.tensor([[1, 2, 3]])).square().sum().backward()
    for name, parameter in half_trained.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert parameter.grad.dtype == torch.float32, name
            assert parameter.grad.any(), name


def test_products_run_in_bf16_and_the_residual_stream_in_float32(
    half_trained: GPT2Classifier,
) -> None:
    seen: dict[str, torch.dtype] = {}
    for name, module in half_trained.named_modules():
        if isinstance(module, (nn.Linear, nn.LayerNorm)):
            module.register_forward_hook(
                lambda _module, inputs, _output, name=name: seen.update({name: inputs[0].dtype})
            )
    half_trained(torch.tensor([[1, 2, 3]]))
    for name, dtype in seen.items():
        whole = ".ln_" in f".{name}" or name == "score"
        assert dtype == (torch.float32 if whole else torch.bfloat16), name
    assert len(seen) == 12 + 5 + 1


def test_logits_in_bf16_are_near_those_in_float32(tiny: Model) -> None:
    network = load_classifier(tiny, Head(), 3, seed=0)
    with torch.no_grad():
        tokens = torch.arange(40).view(2, 20)
        exact = network(tokens)
        rounded = network.requires_grad_(False).compute_in(torch.bfloat16)(tokens)
    assert 0 < distance(rounded, exact) <= 0.03 * exact.abs().max().item()
