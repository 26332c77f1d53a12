"""Threads are as many as cores that others leave free, unless somebody has said how many."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from loraexp.config.schema import TrainConfig, Trainer
from loraexp.runtime import company
from loraexp.runtime.company import busy_cores, fitting_threads, threads_beside, ticks
from loraexp.training.packs.alone import Alone
from loraexp.training.run import train


@pytest.fixture(autouse=True)
def beside_two() -> Iterator[None]:
    """A machine of two cores whose others keep both busy, and a process that may use them. What the
    tests change is changed back before, as nothing here is shared with them."""
    threads, said = torch.get_num_threads(), os.environ.pop("OMP_NUM_THREADS", None)
    fitting_threads.cache_clear()
    torch.set_num_threads(2)
    with pytest.MonkeyPatch.context() as changing:
        changing.setattr(company, "cores", lambda: 2)
        changing.setattr(company, "busy_cores", lambda: 2.0)
        yield
    fitting_threads.cache_clear()
    torch.set_num_threads(threads)
    os.environ.pop("OMP_NUM_THREADS", None)
    os.environ.update({"OMP_NUM_THREADS": said} if said else {})


@pytest.mark.parametrize(
    ("busy", "there", "wanted"),
    [(0, 2, 2), (0.4, 2, 2), (1, 2, 1), (2, 2, 1), (9, 2, 1), (3, 8, 5), (0, 1, 1), (0.5, 16, 16)],
)
def test_as_many_as_others_leave_and_one_at_least(busy: float, there: int, wanted: int) -> None:
    assert threads_beside(busy, there) == wanted


def test_beside_others_a_run_takes_fewer_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Alone().suit_threads(Trainer(accelerator="cpu"))
    assert torch.get_num_threads() == 1
    assert caplog.messages == [
        "with 1 of 2 threads: others keep 2.0 cores busy (trainer.threads=N chooses)"
    ]


@pytest.mark.parametrize(
    ("given", "trainer", "wanted"),
    [
        ("2", {}, 2),  # the variable wins
        (None, {"devices": 2}, 2),
        (None, {"threads": 2}, 2),
        ("2", {"threads": 1}, 1),
    ],
)
def test_whoever_has_said_how_many_is_obeyed(
    given: str | None, trainer: dict[str, Any], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    Alone().suit_threads(Trainer(accelerator="cpu", **trainer))
    assert torch.get_num_threads() == wanted


def test_alone_on_the_machine_nothing_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "busy_cores", lambda: 0.1)
    Alone().suit_threads(Trainer(accelerator="cpu"))
    assert torch.get_num_threads() == 2
    assert caplog.messages == []


def test_the_record_says_how_many_and_the_process_has_its_own_again(small: TrainConfig) -> None:
    config = replace(small, trainer=replace(small.trainer, threads=1, max_epochs=1))
    assert train(config).threads == 1
    assert torch.get_num_threads() == 2
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.skipif(not company.STAT.is_file(), reason="no /proc/stat")
def test_ticks_count_the_cores_of_this_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ticks()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {99999})
    assert ticks() == [0, 0]
    monkeypatch.undo()
    assert all(now >= then > 0 for now, then in zip(ticks(), before, strict=True))


def test_ours_is_not_counted_among_what_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(company, "cores", lambda: 2)
    looks = iter([[100, 100], [110, 130]])  # of 40 ticks on two cores 30 were busy ones
    monkeypatch.setattr(company, "ticks", lambda: next(looks))
    clock = iter([0.0, company.LOOK / 2])  # half a core of them was ours
    monkeypatch.setattr(company.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(company.time, "sleep", lambda seconds: None)
    assert busy_cores() == pytest.approx(1.0)
