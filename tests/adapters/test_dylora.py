"""Ranks that are nested: what a step trains, and that it is of seed and step alone."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from layers import ALPHA, IN, OUT, RANK, disturbed, random
from torch import nn

from loraexp.adapters.branches.dylora import Dylora, RankDraws
from loraexp.adapters.learning import controller
from loraexp.config.schema import TrainConfig


def branch_of(rank: int = RANK) -> Dylora:
    branch = disturbed("dylora", rank=rank).branch
    assert isinstance(branch, Dylora)
    return branch


@pytest.mark.parametrize("b", range(1, RANK + 1))
def test_a_step_trains_the_first_b_ranks_as_if_there_were_no_more(b: int) -> None:
    branch, x, y = branch_of(), random(4, IN, seed=5), random(4, OUT, seed=6)
    base = nn.Linear(IN, OUT)
    branch.train_first(b)
    A, B = branch.lora_A[:b], branch.lora_B[:, :b]
    wanted = y + ALPHA / b * (x @ A.t() @ B.t())
    out = branch(x, y.clone(), base)
    assert (out - wanted).abs().max() <= 1e-12
    out.square().sum().backward()
    gradients = branch.lora_A.grad, branch.lora_B.grad
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert gradients[0][:b].any(1).all()
    assert gradients[1][:, :b].any(0).all()
    assert not gradients[0][b:].any()
    assert not gradients[1][:, b:].any()
    branch.eval()
    full = y + ALPHA / RANK * (x @ branch.lora_A.t() @ branch.lora_B.t())
    assert (branch(x, y.clone(), base) - full).abs().max() <= 1e-12


def drawn(draws: RankDraws, steps: int, start: int = 0) -> list[int]:
    found = []
    for step in range(start, steps):
        found.append(int(draws.branches["a"].gate.count_nonzero()))
        draws.after_step(step + 1, steps)
    return found


def test_b_is_of_seed_and_step_alone_also_after_a_resume() -> None:
    first = drawn(RankDraws({"a": branch_of(6)}, 0), 300)
    torch.rand(7)
    assert drawn(RankDraws({"a": branch_of(6)}, 0), 300) == first
    assert drawn(RankDraws({"a": branch_of(6)}, 1), 300) != first
    counts = Counter(first)
    assert counts.keys() == {1, 2, 3, 4, 5, 6}
    assert max(counts.values()) < 2 * min(counts.values())  # each as likely
    before = RankDraws({"a": branch_of(6)}, 0)
    for step in range(1, 101):
        before.after_step(step, 300)
    after = RankDraws({"a": branch_of(6)}, 0)
    after.load_state_dict(before.state_dict())
    assert drawn(after, 300, start=100) == first[100:]


def test_the_method_brings_the_draws_and_they_are_of_the_runs_seed() -> None:
    layer = disturbed("dylora", rank=6)
    network = nn.ModuleDict({"a": layer})
    found = []
    for seed in (0, 1):
        draws = controller(network, replace(TrainConfig(method="dylora"), seed=seed))
        assert isinstance(draws, RankDraws)
        found.append(drawn(RankDraws({"a": draws.branches["a.branch"]}, draws.seed), 50))
    assert found[0] != found[1]
