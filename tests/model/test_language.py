"""The language model, and the folder it leaves: transformers reads both as we do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from loraexp.config.schema import Model
from loraexp.model.causal_lm import GPT2Language
from loraexp.model.checkpoint import save_base
from loraexp.model.weights import base_state


def rough(model: Model) -> dict[str, Tensor]:
    """Weights with which no bias and no layer norm is trivial."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = GPT2Language(model).state_dict()
    return {name: torch.randn(t.shape, generator=generator) * 0.3 for name, t in shapes.items()}


@pytest.fixture
def written(tiny: Model, tmp_path: Path) -> tuple[dict[str, Tensor], Path]:
    state = rough(tiny)
    save_base(state, tiny, 256, tmp_path)
    return state, tmp_path


def test_a_written_base_is_read_back_bit_for_bit(
    written: tuple[dict[str, Tensor], Path], tiny: Model
) -> None:
    state, folder = written
    read = base_state(replace(tiny, weights=str(folder)))
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


def logits(state: dict[str, Tensor], model: Model, tokens: Tensor) -> Tensor:
    network = GPT2Language(model).double()
    network.load_state_dict(state)
    return network(tokens).view(*tokens.shape, -1).detach()


def test_logits_equal_those_of_transformers(
    written: tuple[dict[str, Tensor], Path], tiny: Model
) -> None:
    state, folder = written
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    tokens = torch.randint(0, tiny.vocab_size, (3, 11), generator=torch.Generator().manual_seed(1))
    expected = theirs(tokens).logits.detach()
    assert (logits(state, tiny, tokens) - expected).abs().max() < 1e-10
    name = "h.1.attn.k_proj.weight"  # the control: a transposed matrix of the same shape
    state[name] = state[name].t().contiguous()
    assert (logits(state, tiny, tokens) - expected).abs().max() > 1e-3
