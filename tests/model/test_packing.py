"""Packed rows: out of the grid and back, values and gradients."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.model.packing import MULTIPLE, Packing

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, spare=st.integers(0, 2))
def test_pack_takes_the_real_rows_in_order_and_unpack_puts_them_back(
    lengths: list[int], spare: int
) -> None:
    T = max(lengths) + spare
    grid = torch.randn(len(lengths), T, 3, dtype=torch.float64)
    packing = Packing.of(torch.tensor(lengths), T)
    rows = torch.cat([text[:n] for text, n in zip(grid, lengths, strict=True)])
    packed = packing.pack(grid)
    assert torch.equal(packed[: len(rows)], rows)
    assert len(packed) % MULTIPLE == 0
    assert not packed[len(rows) :].any()
    back = packing.unpack(packed)
    for text, original, n in zip(back, grid, lengths, strict=True):
        assert torch.equal(text[:n], original[:n])
        assert not text[n:].any()
    ends = [text[n - 1] for text, n in zip(grid, lengths, strict=True)]
    assert torch.equal(rows[packing.lasts], torch.stack(ends))
    assert torch.equal(rows[packing.firsts], grid[:, 0])


@settings(deadline=None, max_examples=20)
@given(lengths=LENGTHS)
def test_gradients_of_pack_and_unpack_equal_numerical_ones(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths), max(lengths) + 1)
    grid = torch.randn(len(lengths), packing.width, 2, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(sum(lengths), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: packing.pack(g)[: len(rows)].square(), grid)
    assert torch.autograd.gradcheck(lambda r: packing.unpack(r).square(), rows)


def test_full_grid_is_neither_copied_nor_indexed() -> None:
    packing = Packing.of(torch.tensor([MULTIPLE, MULTIPLE]), MULTIPLE)
    grid = torch.randn(2, MULTIPLE, 4)
    assert packing.index is None
    assert packing.pack(grid).data_ptr() == grid.data_ptr()


def test_a_token_sees_itself_and_what_is_before_it() -> None:
    packing = Packing.of(torch.tensor([2, 3]), 4)
    seen = packing.seen_by(packing.lasts)[:, 0, 0]
    assert seen.tolist() == [[True, True, False, False], [True, True, True, False]]
    assert packing.seen_by(packing.firsts)[:, 0, 0].sum(1).tolist() == [1, 1]
