"""GPT-2 without its causal mask: a row of the source tutorial's table."""

from typing import Any

import pytest
import torch
from torch import Tensor

from loraexp.config.schema import Head, Model
from loraexp.model.weights import load_classifier


@pytest.mark.parametrize("pooling", ["last_token", "mean", "first"])
def test_without_the_causal_mask_every_token_sees_its_whole_text(pooling: str, tiny: Model) -> None:
    """The oracle: attention written out, text by text, so padding cannot be seen either."""
    tiny.causal = False
    network = load_classifier(tiny, Head(pooling=pooling), 2, seed=0).double()
    tokens = torch.randint(0, 257, (3, 9), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([9, 4, 1])
    alone = [network(tokens[i : i + 1, :n]) for i, n in enumerate(lengths.tolist())]
    together = network(tokens, lengths)
    assert torch.allclose(together, torch.cat(alone), rtol=0, atol=1e-12)

    def by_hand(x: Tensor, attn: Any) -> Tensor:  # (T, d) -> (T, d)
        T, d = x.shape
        heads = [
            (p(x).view(T, tiny.n_head, -1).transpose(0, 1))
            for p in (attn.q_proj, attn.k_proj, attn.v_proj)
        ]
        q, k, v = heads
        weights = (q @ k.transpose(1, 2) / (d // tiny.n_head) ** 0.5).softmax(-1)
        return attn.out_proj((weights @ v).transpose(0, 1).reshape(T, d))  # type: ignore[no-any-return]

    x = network.wte(tokens[0]) + network.wpe(torch.arange(9))
    for block in network.h:
        x = x + by_hand(block.ln_1(x), block.attn)
        x = x + block.mlp(block.ln_2(x))
    states = network.ln_f(x)
    pooled = {"last_token": states[-1], "mean": states.mean(0), "first": states[0]}[pooling]
    assert torch.allclose(network.score(pooled), together[0], rtol=0, atol=1e-12)
    tiny.causal = True  # the control: with the mask the first token sees nothing of the rest
    masked = load_classifier(tiny, Head(pooling=pooling), 2, seed=0).double()
    assert (masked(tokens, lengths)[0] - together[0]).abs().max() > 1e-6
