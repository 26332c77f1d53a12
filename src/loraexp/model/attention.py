"""softmax(Q K' / sqrt(D)) V of B texts, H heads, T tokens: every tensor (B, H, T, D)."""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Queries at a time, each with no key after the last of them. Texts of SMS length are one chunk.
CHUNK = 128
# Weights of longer texts are computed again for the gradient: to keep them takes 1.5 GB in a step
# of GPT-2 124M, B = 8, at T = 1024, and saves a tenth of its time.
KEPT = 512


def attention(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float) -> Tensor:
    """Over what is `seen` (B, 1, 1, T), or over what came before if that is None."""
    if seen is not None:
        return F.scaled_dot_product_attention(q, k, v, seen, dropout)
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        if torch.compiler.is_compiling():  # chunks would be compiled anew for every length
            weights = weights_of(q.flatten(0, 1), k.flatten(0, 1)).view(*q.shape[:3], -1)
            return F.dropout(weights, dropout) @ v
        return Chunked.apply(q, k, v, dropout)  # type: ignore[no-untyped-call]
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)


class Chunked(torch.autograd.Function):
    """Causal attention written out, for bf16 on a CPU: torch's fused kernel is slower there.

    Measured on 2 cores for B = 8, H = 12, D = 64, forward and backward, beside the fused kernel:
    0.5 and 2.8 ms at T = 32, 39 and 110 ms at T = 512. Chunks spare almost half of a long text's
    work, and what stands between two products stays in the cache.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
        ctx.shape = B, H, T, D = q.shape
        q, k, v = (part.reshape(B * H, T, D) for part in (q, k, v))
        out = torch.empty_like(v)
        kept: list[Tensor | None] = []
        for own, before in chunks(T):
            weights = weights_of(q[:, own], k[:, before])
            noise = F.dropout(torch.ones_like(weights), dropout) if dropout else None
            out[:, own] = (weights if noise is None else weights * noise) @ v[:, before]
            kept += [weights if T <= KEPT else None, noise]
        ctx.save_for_backward(q, k, v, *kept)
        return out.view(B, H, T, D)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        B, H, T, D = ctx.shape
        q, k, v, *kept = ctx.saved_tensors
        g = gradients[0].reshape(B * H, T, D)
        g_q, g_k, g_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (own, before), weights, noise in zip(chunks(T), kept[::2], kept[1::2], strict=True):
            if weights is None:
                weights = weights_of(q[:, own], k[:, before])
            used, g_weights = weights, g[:, own] @ v[:, before].transpose(1, 2)
            if noise is not None:
                used, g_weights = weights * noise, g_weights * noise
            g_scores = torch._softmax_backward_data(g_weights, weights, -1, weights.dtype)
            g_q[:, own] = g_scores @ k[:, before]
            g_k[:, before].baddbmm_(g_scores.transpose(1, 2), q[:, own], alpha=1 / math.sqrt(D))
            g_v[:, before].baddbmm_(used.transpose(1, 2), g[:, own])
        g_q /= math.sqrt(D)
        return *(part.view(B, H, T, D) for part in (g_q, g_k, g_v)), None


def weights_of(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q k' / sqrt(D)): (B H, n, D) and (B H, m, D) to (B H, n, m). Last query and last key
    are of one token."""
    n, m = q.shape[1], k.shape[1]
    future = q.new_full((n, m), -math.inf).triu(m - n + 1)
    scores = torch.baddbmm(future, q, k.transpose(1, 2), alpha=1 / math.sqrt(q.shape[-1]))
    # In float32, and rounded: bf16 rows of no round length would take up to six times as long.
    return scores.softmax(-1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)


def chunks(T: int) -> Iterator[tuple[slice, slice]]:
    """The places of each chunk, and of all up to its end."""
    for start in range(0, T, CHUNK):
        end = min(start + CHUNK, T)
        yield slice(start, end), slice(end)
