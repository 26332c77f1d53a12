"""Attention written out in chunks equals a loop over queries, and torch's own kernel."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.model.attention import CHUNK, KEPT, Chunked, attention

SHORT = 17
# One chunk, not full and full; several, the last one full, of one query, and in between; too long
# for weights to be kept.
LENGTHS = [1, SHORT, CHUNK, 2 * CHUNK, CHUNK + 1, 2 * CHUNK + SHORT, KEPT + SHORT]


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


def chunked(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    return Chunked.apply(q, k, v, dropout)  # type: ignore[no-untyped-call]


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def distance(a: Tensor, b: Tensor) -> float:
    return (a.double() - b.double()).abs().max().item()


def weighted(out: Tensor) -> Tensor:
    """A sum in which every place counts otherwise: no error cancels another."""
    return (out * torch.arange(out.numel(), dtype=out.dtype).view(out.shape).cos()).sum()


@pytest.mark.parametrize("T", LENGTHS)
def test_it_equals_a_loop(T: int) -> None:
    q, k, v = queries_keys_values(T, torch.float64)
    wanted = attention_by_hand(q, k, v)
    assert distance(chunked(q, k, v), wanted) <= 1e-12
    assert distance(attention(q, k, v, None, 0.0), wanted) <= 1e-12


@pytest.mark.parametrize("T", LENGTHS)
def test_gradients_equal_those_of_the_fused_kernel(T: int) -> None:
    inputs = queries_keys_values(T, torch.float64)
    ours = torch.autograd.grad(weighted(chunked(*inputs)), inputs)
    wanted = torch.autograd.grad(weighted(fused(*inputs)), inputs)
    for name, a, b in zip("qkv", ours, wanted, strict=True):
        assert distance(a, b) <= 1e-12, name
        assert b.abs().max() > 0.01 or (T == 1 and name != "v"), name


@pytest.mark.parametrize("T", LENGTHS)
def test_in_bf16_it_is_near_a_loop_and_no_further_from_the_gradient_than_the_fused_one(
    T: int,
) -> None:
    inputs = queries_keys_values(T, torch.bfloat16)
    assert distance(attention(*inputs, None, 0.0), attention_by_hand(*inputs)) <= 3e-2
    ours = torch.autograd.grad(weighted(attention(*inputs, None, 0.0)), inputs)
    theirs = torch.autograd.grad(weighted(fused(*inputs)), inputs)
    exact = torch.autograd.grad(
        weighted(fused(*(wide := queries_keys_values(T, torch.float64)))), wide
    )
    for name, a, b, c in zip("qkv", ours, theirs, exact, strict=True):
        assert distance(a, c) <= 2 * distance(b, c) + 1e-2, name


@pytest.mark.parametrize("wrong", ["not scaled", "sees the future"])
def test_wrong_attention_is_far_from_ours_in_bf16(wrong: str) -> None:
    q, k, v = queries_keys_values(SHORT, torch.bfloat16)
    assert distance(attention(q, k, v, None, 0.0), attention_by_hand(q, k, v, wrong)) > 0.3


@pytest.mark.parametrize("T", [SHORT, CHUNK + SHORT, KEPT + 1])
def test_dropout_is_of_the_weights_and_the_gradient_is_of_what_was_drawn(T: int) -> None:
    inputs = queries_keys_values(T, torch.float64)

    def drawn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        torch.manual_seed(3)
        return chunked(q, k, v, 0.4)

    # With V the identity, attention gives its weights: a share of 0.4 is zero, the rest grows.
    eye = torch.eye(T, dtype=torch.float64).expand(2, 3, T, T)
    wide = [F.pad(part.detach(), (0, T - part.shape[-1])) for part in inputs[:2]]
    weights, dropped = chunked(*wide, eye), chunked(*wide, eye, 0.4)
    seen = torch.ones(T, T).tril().bool().expand_as(weights)
    zeros = (dropped == 0)[seen].double().mean()
    assert abs(zeros - 0.4) < 5 * math.sqrt(0.24 / int(seen.sum()))
    assert torch.allclose(dropped[dropped != 0], (weights / 0.6)[dropped != 0])
    # The gradient along a line, beside a difference.
    lines = [torch.randn_like(part) * 1e-6 for part in inputs]
    with torch.no_grad():
        ends = [
            weighted(drawn(*(part + sign * line for part, line in zip(inputs, lines, strict=True))))
            for sign in (-1, 1)
        ]
    gradients = torch.autograd.grad(weighted(drawn(*inputs)), inputs)
    along = sum((g * line).sum().item() for g, line in zip(gradients, lines, strict=True))
    assert (ends[1] - ends[0]).item() / 2 == pytest.approx(along, rel=1e-4)


def test_bf16_on_a_cpu_never_takes_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("fused")

    monkeypatch.setattr(F, "scaled_dot_product_attention", refuse)
    attention(*queries_keys_values(CHUNK + 1, torch.bfloat16), None, 0.0)
    with pytest.raises(AssertionError, match="fused"):
        attention(*queries_keys_values(SHORT, torch.float32), None, 0.0)
