"""Runs in step are what each is alone: the numbers, the random ones too, and their failures."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import active_count
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from in_step import Short, alone, apart, in_step, own_clip
from torch import Tensor, nn

from loraexp.adapters.branches.base import Own
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.methods import METHODS
from loraexp.sweeps.packs import why_apart
from loraexp.training.packs.alone import Apart
from loraexp.training.packs.lockstep import Member, Pack

SHARING = [name for name in METHODS if not why_apart(Short(method=name).config)]
MIXED = [
    Short("lora", rank=1, targets=("all-linear",), dropout=0.3, steps=100),
    Short("rslora", rank=5, alpha=8.0, seed=1, lr=3e-3, clip=0.01, steps=120),
    Short("dora", rank=2, targets=("v_proj", "fc1"), dropout=0.2, seed=2, steps=100),
    Short("pissa", rank=3, targets=("out_proj",), dropout=0.1, seed=3, bias=True, steps=110),
    Short("lora", rank=1, seed=1, steps=100),
    Short("adalora", rank=2, seed=4, dropout=0.1, steps=100),
    *(Short(method, rank=4, seed=6, dropout=0.1, steps=20) for method in ("dylora", "oft", "loha")),
    Short("head", seed=5, steps=100),
]
PAIR = [Short(dropout=0.5, alpha=4.0), Short(dropout=0.5, alpha=9.0, seed=1)]


def test_which_methods_share_a_base() -> None:
    assert {*METHODS} - {*SHARING} == {"full", "bitfit", "ln_tuning", "last_block"}


def test_a_hundred_steps_in_step_are_those_alone() -> None:
    assert apart(in_step(MIXED), alone(MIXED)) <= 1e-12


@pytest.mark.slow
def test_a_hundred_steps_in_float32_too() -> None:
    wanted, found = alone(MIXED, torch.float32), in_step(MIXED, torch.float32)
    assert apart(found, wanted) <= 1e-5
    for own, other in zip(wanted, found, strict=True):
        assert own["logits"].argmax(-1).equal(other["logits"].argmax(-1))


shorts = st.builds(
    lambda method, rank, **more: Short(method, 4 if method == "oft" else rank, **more),
    method=st.sampled_from(SHARING),
    rank=st.integers(1, 5),
    alpha=st.sampled_from([1.0, 8.0]),
    targets=st.sampled_from(
        [("q_proj",), ("k_proj", "fc2"), ("all-linear",), ("h.1.attn.v_proj",)]
    ),
    dropout=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 3),
    clip=st.sampled_from([0.01, 1.0]),
    steps=st.integers(1, 4),
    bias=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(
    runs=st.lists(shorts, min_size=2, max_size=4),
    pooling=st.sampled_from(["last_token", "last_position", "first", "mean"]),
    base_dropout=st.sampled_from([0.0, 0.2]),
)
def test_any_pack_is_its_runs_alone(runs: list[Short], pooling: str, base_dropout: float) -> None:
    runs = [replace(run, pooling=pooling, base_dropout=base_dropout) for run in runs]
    assert apart(in_step(runs), alone(runs)) <= 1e-12


def test_a_pack_of_one_is_the_run_alone_to_the_bit() -> None:
    (found,), (wanted,) = in_step(MIXED[:1], torch.float32), alone(MIXED[:1], torch.float32)
    assert all(found[name].equal(tensor) for name, tensor in wanted.items())


def test_a_random_stream_that_is_shared_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def everyones(self: Pack, member: Member) -> Iterator[None]:
        yield

    monkeypatch.setattr(Pack, "drawing", everyones)
    assert apart(in_step(PAIR), alone(PAIR)) > 1e-3


def test_a_clip_that_is_shared_is_seen() -> None:
    everyone: list[Tensor] = []

    def shared(tensors: Sequence[Tensor], most: float) -> None:
        everyone.extend(tensors)
        own_clip(everyone, most)

    runs = [replace(run, clip=0.01) for run in PAIR]
    assert apart(in_step(runs, clip=shared), alone(runs)) > 1e-3


def test_one_scaling_for_all_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    own = LowRank.together

    def first(owners: Sequence[Own[Any]], x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        for each in owners[1:]:
            each.branch.scaling = owners[0].branch.scaling
        return own(owners, x, y, base)

    monkeypatch.setattr(LowRank, "together", staticmethod(first))
    assert apart(in_step(PAIR), alone(PAIR)) > 1e-3


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_what_becomes_nan_changes_no_bit_of_the_others(method: str) -> None:
    others = [Short(method, dropout=0.2), Short("lora", rank=3, seed=2, targets=("all-linear",))]
    sane, mad = Short(method, seed=1), Short(method, seed=1, lr=1e30)
    wanted, found = ([others[0], each, others[1]] for each in (sane, mad))
    wanted_numbers, numbers = in_step(wanted, torch.float32), in_step(found, torch.float32)
    assert not any(tensor.isfinite().all() for tensor in [numbers[1]["logits"]])
    for place in (0, 2):
        for name, tensor in wanted_numbers[place].items():
            assert numbers[place][name].equal(tensor), name


def test_a_failure_ends_its_run_alone() -> None:
    done = []

    def work(member: Member) -> None:
        member.join(Short().network(torch.float32), "")
        member.logits(*Short().batch(0)[:2])
        if member.number == 1:
            raise ValueError("no")
        member.logits(*Short().batch(1)[:2])
        done.append(member.number)

    pack = Pack([work, work, work])
    pack.run()
    assert done == [0, 2]
    assert [type(member.end) for member in pack.members] == [type(None), ValueError, type(None)]


def test_another_base_does_not_share() -> None:
    def work(member: Member) -> None:
        member.join(Short().network(torch.float32), f"base {min(member.number, 1)}")

    pack = Pack([work, work])
    pack.run()
    assert isinstance(pack.members[1].end, Apart)


@pytest.mark.parametrize("where", ["while a run goes on", "while all wait"])
def test_an_interrupt_ends_every_run_and_each_tidies_up(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied, before = [], active_count()

    def work(member: Member) -> None:
        try:
            member.join(Short().network(torch.float32), "")
            if where == "while a run goes on" and member.number == 1:
                raise KeyboardInterrupt
            while True:
                member.logits(*Short().batch(0)[:2])
        finally:
            tidied.append(member.number)

    def interrupted(self: Pack, waiting: Sequence[Member]) -> None:
        raise KeyboardInterrupt

    if where == "while all wait":
        monkeypatch.setattr(Pack, "serve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Pack([work, work, work]).run()
    assert {*tidied} >= ({0, 1} if where == "while a run goes on" else {0, 1, 2})
    assert active_count() == before


def test_time_is_shared_out() -> None:
    """What the runs of a pack say they took adds up to no more than the pack took."""
    took = {}

    def work(member: Member) -> None:
        began = member.clock()
        member.join(Short().network(torch.float32), "")
        for step in range(5):
            member.logits(*Short().batch(step)[:2])
        took[member.number] = member.clock() - began

    began = time.monotonic()
    Pack([work, work]).run()
    assert 0 < sum(took.values()) <= time.monotonic() - began
    assert len(took) == 2
