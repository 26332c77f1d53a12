"""GPT-2 (Radford et al. 2019), in reading order.

Module names are the checkpoint's (wte, wpe, h, ln_1, attn, ln_2, mlp, ln_f), but every projection
is its own linear layer, so each can be adapted alone. B texts of at most T tokens, N tokens in all
(no padding: see packing.py), d width, H heads, D = d/H.

Two dtypes: the residual stream and all tensors that train keep full precision (float32, or float64
in tests); matrix products run in `execution.dtype`. See `GPT2.compute_in`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from loraexp.config.schema import Model
from loraexp.model.attention import attention
from loraexp.model.packing import Packing
from loraexp.model.packings import Packings
from loraexp.model.prefix_states import Prefix
from loraexp.model.reordered import FrozenLinearFunction, Gelu, ReorderedWeight, can_reorder

Rows = Packing | Packings  # of one network's batch, or of several networks'


class Linear(nn.Linear):
    """A linear layer whose product runs in its input's dtype, whatever its weight is stored in."""

    def __init__(self, into: int, out: int, bias: bool = True) -> None:
        super().__init__(into, out, bias)
        self.reordered, self.reordered_back = ReorderedWeight(), ReorderedWeight(transposed=True)

    def reset_parameters(self) -> None:
        """Nothing: weights.py fills every tensor, from a checkpoint or at random."""

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        if can_reorder(x, self.weight, self.bias):
            if x.requires_grad and torch.is_grad_enabled():
                layouts = self.reordered, self.reordered_back
                return FrozenLinearFunction.apply(x, self.weight, self.bias, layouts)  # type: ignore[no-untyped-call]
            return self.reordered.matmul(x, self.weight, self.bias)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


def gelu_of(linear: nn.Module, x: Tensor) -> Tensor:
    """GPT-2's gelu of what a layer gives."""
    if isinstance(linear, Linear) and can_reorder(x, linear.weight, linear.bias):
        if x.requires_grad and torch.is_grad_enabled():
            return Gelu.apply(linear(x))  # type: ignore[no-untyped-call]
        return linear.reordered.matmul(x, linear.weight, linear.bias, gelu=True)
    return F.gelu(linear(x), approximate="tanh")


class Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """Nothing, as in Linear."""


class Attention(nn.Module):
    def __init__(self, config: Model) -> None:
        super().__init__()
        d = config.d_model
        self.n_head, self.dropout, self.causal = config.n_head, config.dropout, config.causal
        self.q_proj, self.k_proj, self.v_proj = Linear(d, d), Linear(d, d), Linear(d, d)
        self.out_proj = Linear(d, d)

    def forward(self, x: Tensor, packing: Rows, last: Tensor | None) -> Tensor:
        """Attend within each text: (N, d) -> (N, d), or (B, d) if only `last` (B,) asks."""
        k, v = self.k_proj(x), self.v_proj(x)
        q = self.q_proj(x if last is None else x[last])
        return self.out_proj(packing.each(self.attended, q, k, v, last=last))

    def attended(
        self, packing: Packing, q: Tensor, k: Tensor, v: Tensor, last: Tensor | None
    ) -> Tensor:
        """(N, d) each, q (B, d) if only `last` asks -> as q."""
        B, T, H = packing.texts, packing.width, self.n_head
        dropout = self.dropout if self.training else 0.0
        k, v = (packing.unpack(rows).view(B, T, H, -1).transpose(1, 2) for rows in (k, v))
        if last is None:  # k, v: (B, H, T, D)
            q = packing.unpack(q).view(B, T, H, -1).transpose(1, 2)  # (B, H, T, D)
            y = attention(q, k, v, None if self.causal else packing.real(), dropout)
            return packing.pack(y.transpose(1, 2).reshape(B, T, -1))
        q = q.view(B, H, 1, -1)  # (B, H, 1, D)
        seen = packing.seen_by(last) if self.causal else packing.real()
        return F.scaled_dot_product_attention(q, k, v, seen, dropout).reshape(B, -1)


class MLP(nn.Module):
    def __init__(self, config: Model) -> None:
        super().__init__()
        self.fc1 = Linear(config.d_model, 4 * config.d_model)
        self.fc2 = Linear(4 * config.d_model, config.d_model)

    def forward(self, x: Tensor) -> Tensor:  # (N, d) -> (N, d)
        return self.fc2(gelu_of(self.fc1, x))


class Block(nn.Module):
    def __init__(self, config: Model) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, eps=1e-5)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.d_model, eps=1e-5)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, packing: Rows, dtype: torch.dtype, last: Tensor | None = None
    ) -> Tensor:
        """(N, d) -> (N, d); with `last` (B,), only those rows come out: (B, d)."""
        y = self.dropped(self.attn(self.ln_1(x).to(dtype), packing, last), packing)
        # Cast first: a sum of two dtypes takes twice as long.
        x = (x if last is None else x[last]) + y.to(x.dtype)
        return x + self.dropped(self.mlp(self.ln_2(x).to(dtype)), packing).to(x.dtype)

    def dropped(self, y: Tensor, packing: Rows) -> Tensor:
        if not (self.training and self.drop.p):
            return y
        return packing.each(lambda part, own, last: self.drop(own), y)


@dataclass
class Execution:
    """How a network computes, set from outside; no tensor of it depends on this.

    Args:
        dtype: of matrix products; None: the residual stream's.
        checkpointing: compute each block again for its gradient.
        compiled: by torch.compile, where a gradient is wanted.
        prefix: what the first blocks gave, if they are frozen.
    """

    dtype: torch.dtype | None = None
    checkpointing: bool = False
    compiled: bool = False
    prefix: Prefix | None = None


class GPT2(nn.Module):
    """The network without a head: token ids (B, T) to hidden states (B, T, d)."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        self.config = config
        self.execution = Execution()
        self.wte = Embedding(config.vocab_size, config.d_model)
        self.wpe = Embedding(config.context, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.d_model, eps=1e-5)

    def hidden(self, tokens: Tensor, packing: Packing, last: Tensor | None = None) -> Tensor:
        """Hidden states (N, d) of the packed tokens after the last layer norm.

        Args:
            last: (B,) the one packed token a text whose state is wanted: (B, d) comes out, and the
                last block computes nothing else.
        """
        first, x = self.begun(tokens, packing, last)
        return self.ended(first, x, packing, last)

    def begun(self, tokens: Tensor, packing: Packing, last: Tensor | None) -> tuple[int, Tensor]:
        """What comes before the first block that is not kept: its number, and the states (N, d)
        that enter it; (B, d) where no block is left."""
        full, prefix = self.ln_f.weight.dtype, self.execution.prefix
        if prefix is None:
            return 0, self.embed(tokens, packing, full)
        pooled = last is not None and prefix.blocks == len(self.h)
        x = prefix.get(tokens, packing, pooled)
        if x is None:
            x = self.embed(tokens, packing, full)
            x = self.through(range(prefix.blocks), x, packing, last)
            if prefix.filling:
                prefix.put(tokens, packing, x, pooled)
        return prefix.blocks, x

    def ended(self, first: int, x: Tensor, packing: Rows, last: Tensor | None) -> Tensor:
        """Through all blocks from `first` on, and the last layer norm."""
        return self.ln_f(self.through(range(first, len(self.h)), x, packing, last))

    def embed(self, tokens: Tensor, packing: Packing, dtype: torch.dtype) -> Tensor:
        """(B, T) -> (N, d)."""
        positions = torch.arange(packing.width, device=tokens.device).expand(tokens.shape)
        words, places = packing.pack(tokens[..., None]), packing.pack(positions[..., None])
        return self.drop(self.wte(words[:, 0]).to(dtype) + self.wpe(places[:, 0]).to(dtype))

    def through(self, blocks: range, x: Tensor, packing: Rows, last: Tensor | None) -> Tensor:
        """Through these blocks; the network's last one gives only the rows `last`, if asked."""
        dtype = self.execution.dtype or self.ln_f.weight.dtype
        for number in blocks:
            wanted = last if number == len(self.h) - 1 else None
            x = self.run(self.h[number], x, packing, dtype, wanted)
        return x

    def run(self, block: nn.Module, *given: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return block(*given)
        forward = compiled() if self.execution.compiled else run_block
        if not self.execution.checkpointing:
            return forward(block, *given)
        # Not the reentrant kind: it loses every gradient where the input needs none.
        return checkpoint(forward, block, *given, use_reentrant=False)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T) -> (B, T, d)
        packing = Packing.of(torch.full_like(tokens[:, 0], tokens.shape[1]), tokens.shape[1])
        return packing.unpack(self.hidden(tokens, packing))

    def compute_in(self, dtype: torch.dtype) -> Self:
        """Run matrix products in `dtype`; hold the frozen base in it, leave all else alone."""
        self.execution.dtype = dtype
        for name, module in self.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)) and not name.startswith("score"):
                for parameter in module.parameters(recurse=False):
                    if not parameter.requires_grad:
                        parameter.data = parameter.data.to(dtype)
        return self


def run_block(block: nn.Module, *given: Any) -> Tensor:
    return block(*given)


@cache
def compiled() -> Callable[..., Tensor]:
    """`run_block` through torch.compile: once for all blocks of a kind and all lengths."""
    return torch.compile(run_block, dynamic=True)
