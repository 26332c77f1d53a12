"""Packed rows: out of the grid and back, values and gradients."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.config.schema import Head, Model
from loraexp.model.packing import GRID, MULTIPLE, WIDTHS, Packing
from loraexp.model.weights import load_classifier

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, spare=st.integers(0, 2))
def test_rows_hold_the_real_tokens_and_unpack_puts_them_back(
    lengths: list[int], spare: int
) -> None:
    T = max(lengths) + spare
    grid = torch.randn(len(lengths), T, 3, dtype=torch.float64)
    packing = Packing.of(torch.tensor(lengths), T)
    texts = [text[:n] for text, n in zip(grid, lengths, strict=True)]
    packed = packing.pack(grid)
    back = packing.unpack(packed)
    for text, original, n in zip(back, texts, lengths, strict=True):
        assert torch.equal(text[:n], original)
    assert torch.equal(packed[packing.lasts], torch.stack([text[-1] for text in texts]))
    assert torch.equal(packed[packing.firsts], grid[:, 0])
    means = torch.stack([text.mean(0) for text in texts])
    torch.testing.assert_close(packing.mean(packed), means, rtol=0, atol=1e-14)
    for part, text in zip(packing.split(packed), texts, strict=True):
        assert torch.equal(part, text)
    joined = packing.join(texts)
    assert joined.shape == packed.shape
    assert all(map(torch.equal, packing.split(joined), texts))
    owners = packing.owners
    assert len(owners) == len(packed)
    for number, text in enumerate(texts):
        assert torch.equal(packed[owners == number], text)


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, spare=st.integers(0, 2))
def test_padding_is_left_out_unless_there_is_hardly_any(lengths: list[int], spare: int) -> None:
    T = max(lengths) + spare
    grid = torch.randn(len(lengths), T, 3, dtype=torch.float64)
    packing = Packing.of(torch.tensor(lengths), T)
    packed = packing.pack(grid)
    if len(lengths) * T <= GRID * sum(lengths):
        assert packed.data_ptr() == grid.data_ptr()
    else:
        rows = torch.cat([text[:n] for text, n in zip(grid, lengths, strict=True)])
        assert torch.equal(packed[: len(rows)], rows)
        assert len(packed) == -(-len(rows) // MULTIPLE) * MULTIPLE
        assert not packed[len(rows) :].any()


@settings(deadline=None, max_examples=20)
@given(lengths=LENGTHS)
def test_gradients_of_pack_and_unpack_equal_numerical_ones(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths), max(lengths) + 1)
    grid = torch.randn(len(lengths), packing.width, 2, dtype=torch.float64, requires_grad=True)
    rows = packing.pack(grid.detach()).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda g: packing.pack(g).square(), grid)
    assert torch.autograd.gradcheck(lambda r: packing.unpack(r).square(), rows)


def test_a_token_sees_itself_and_what_is_before_it() -> None:
    packing = Packing.of(torch.tensor([2, 3]), 4)
    seen = packing.seen_by(packing.lasts)[:, 0, 0]
    assert seen.tolist() == [[True, True, False, False], [True, True, True, False]]
    assert packing.seen_by(packing.firsts)[:, 0, 0].sum(1).tolist() == [1, 1]
    assert Packing.of(torch.tensor([4, 4]), 4).seen_by(torch.tensor([0, 5])).sum(-1).tolist() == [
        [[1]],
        [[2]],
    ]


@pytest.mark.parametrize("pooling", ["last_token", "last_position", "first", "mean"])
@pytest.mark.parametrize("T", [1, 5, 8, 29, 30])
def test_room_for_a_round_number_of_tokens_changes_nothing(
    tiny: Model, T: int, pooling: str
) -> None:
    """Up to a context that is no multiple of it."""
    model = replace(tiny, context=30)
    network = load_classifier(model, Head(pooling=pooling), 2, seed=0).double()
    tokens, lengths = torch.randint(0, 257, (3, T)), torch.tensor([T, max(1, T - 2), T])
    with torch.no_grad(), patch.object(Packing, "of", wraps=Packing.of) as made:
        logits = network(tokens, lengths)
        states = network.hidden(tokens, Packing.of(torch.full((3,), T), T)).view(3, T, -1)
    assert made.call_args_list[0].args[1] == min(30, -(-T // WIDTHS) * WIDTHS)
    last = torch.full((3,), T) if pooling == "last_position" else lengths
    wanted = {
        "first": states[:, 0],
        "mean": torch.stack([text[:n].mean(0) for text, n in zip(states, lengths, strict=True)]),
    }.get(pooling, states[torch.arange(3), last - 1])
    torch.testing.assert_close(logits, network.score(wanted), rtol=0, atol=1e-12)
    assert T == 1 or not torch.allclose(logits, network.score(wanted.roll(1, 0)), atol=1e-6)
