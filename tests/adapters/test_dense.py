"""Changes of no low rank: what they are, and that what no file holds is never drawn otherwise."""

import numpy as np
import pytest
import torch
from layers import adapted, base_layer, disturbed, random

from loraexp.adapters.branches.dense import Randlora, Shira, drawn, even
from loraexp.adapters.branches.miss import Miss
from loraexp.adapters.branches.oft import Oft


def test_what_no_file_holds_is_what_it_was() -> None:
    """Another number here would make other networks of the adapters there are."""
    assert drawn(6, 40, "h.0.attn.q_proj").tolist() == [4, 19, 28, 29, 30, 34]
    like = torch.zeros(1, dtype=torch.float64)
    wanted = [[-1.4537457, -1.1946490], [1.5205460, 0.8496496]]
    assert (even("A", (2, 2), like) - torch.tensor(wanted)).abs().max() <= 1e-6
    assert (even("B", (1, 2), like) - torch.tensor([-0.8780878, 1.0473167])).abs().max() <= 1e-6


def test_places_are_different_and_of_the_path_alone() -> None:
    places = drawn(500, 2000, "a")
    assert len({*places}) == 500
    assert (np.diff(places) > 0).all()
    assert not np.array_equal(places, drawn(500, 2000, "b"))
    assert np.bincount(places // 500, minlength=4).min() > 90  # spread over all
    assert drawn(7, 7, "a").tolist() == [*range(7)]


@pytest.mark.parametrize("name", ["A", "B"])
def test_the_numbers_are_even_of_deviation_one_and_made_once(name: str) -> None:
    numbers = even(name, (300, 200), torch.zeros(1))
    assert numbers.dtype == torch.float32
    assert numbers.std() == pytest.approx(1, rel=0.01)
    assert numbers.mean().abs() < 0.02
    assert 1.73 < numbers.max() <= 3**0.5
    assert even(name, (300, 200), torch.zeros(1)) is numbers
    with torch.inference_mode():  # as a loaded run would have it; the next one may train
        assert not even(name, (30, 20), torch.zeros(1)).is_inference()


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_randlora_is_of_full_rank_whatever_its_rank(rank: int) -> None:
    layer = disturbed("randlora", base=base_layer(into=6, out=8), rank=rank)
    assert isinstance(layer.branch, Randlora)
    assert torch.linalg.matrix_rank(layer.branch.delta(layer.base.weight)) == 6
    lora = disturbed("lora", base=base_layer(into=6, out=8), rank=rank)  # the control
    assert torch.linalg.matrix_rank(lora.branch.delta(lora.base.weight)) == rank


@pytest.mark.parametrize(("rank", "changed"), [(1, 16), (2, 32), (4, 63)])
def test_shira_changes_as_many_entries_as_lora_has_numbers(rank: int, changed: int) -> None:
    layer = disturbed("shira", rank=rank)
    assert isinstance(layer.branch, Shira)
    assert int(layer.branch.delta(layer.base.weight).count_nonzero()) == changed


def test_oft_keeps_every_length() -> None:
    layer = disturbed("oft")
    assert isinstance(layer.branch, Oft)
    before, after = layer.base.weight, layer.branch.merged(layer.base.weight)
    assert (after.norm(dim=1) - before.norm(dim=1)).abs().max() <= 1e-12
    assert (after @ after.t() - before @ before.t()).abs().max() <= 1e-12  # and every angle
    assert (after - before).abs().max() > 0.1
    R = layer.branch.rotations(layer.branch.oft_R)
    assert (torch.linalg.det(R) - 1).abs().max() <= 1e-12


@pytest.mark.parametrize(("into", "rank"), [(6, 3), (7, 3), (2, 5)])
def test_miss_sums_the_shards_of_its_input(into: int, rank: int) -> None:
    layer = adapted("miss", base=base_layer(into=into), rank=rank)
    branch, x = layer.branch, random(4, into)
    assert isinstance(branch, Miss)
    wanted = torch.zeros(4, rank, dtype=x.dtype)
    for place in range(into):
        wanted[:, place % rank] += x[:, place]
    assert (x @ branch.lora_A.t() - wanted).abs().max() <= 1e-12
