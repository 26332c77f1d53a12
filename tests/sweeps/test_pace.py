"""How many workers and how wide a pack: of the jobs and the machine, not of the moment."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from in_process import TINY

from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import Search
from loraexp.sweeps import pace
from loraexp.sweeps.calibration import Way
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Sizes
from loraexp.sweeps.pace import WIDEST, decided, kept
from loraexp.sweeps.plan import TRAIN, plan

AUTO = Protocol(workers=None, width=None)
LARGE, FEW = Sizes(20_000, 200.0, 800), Sizes(20, 200.0, 800)


def nano(seeds: int, precision: str = "bf16") -> list[TrainConfig]:
    typed = [f"trainer.precision={precision}", "trainer.accelerator=cpu"]
    return plan(TRAIN, [f"seed=range({seeds})", *typed, "-m"]).jobs


def numbers(
    configs: list[TrainConfig], sizes: Sizes, protocol: Protocol = AUTO
) -> tuple[int | None, int | None]:
    found = decided(protocol, configs, dict.fromkeys([repr(c.data) for c in configs], sizes))
    return found.workers, found.width


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores and 32 GB, no GPU, and a rule that no measurement beats."""
    monkeypatch.setattr(pace, "fastest", lambda rule, config, folder: rule)
    monkeypatch.setattr(pace, "machine", lambda: 4)
    monkeypatch.setattr(pace, "machine_memory", lambda: 32 * 10**9)


def test_a_large_sweep_has_all_cores_and_wide_packs() -> None:
    assert numbers(nano(8), LARGE) == (4, WIDEST)
    assert numbers(nano(3), LARGE) == (3, WIDEST)


def test_a_long_sweep_is_done_in_the_way_that_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Way] = []

    def measured(rule: Way, config: TrainConfig, folder: Path) -> Way:
        asked.append(rule)
        return Way(2, 8)

    monkeypatch.setattr(pace, "fastest", measured)
    assert numbers(nano(8), LARGE) == (2, 8)
    assert asked == [Way(4, WIDEST)]
    assert numbers(nano(8), LARGE, Protocol(workers=4, width=None)) == (4, WIDEST)  # typed
    assert numbers(nano(8), Sizes(2_000, 200.0, 800)) == (4, WIDEST)  # over before it pays
    assert len(asked) == 1


def test_on_a_gpu_runs_in_step_are_as_many_as_half_of_its_memory_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one that is here, by a stand-in, and of one that is planned for."""
    runs, widths = nano(20, "fp32"), list[int | None]()
    sizes = dict.fromkeys([repr(run.data) for run in runs], LARGE)
    for memory in (80 * 10**9, 2 * 10**9, 10**6):
        planned = decided(AUTO, runs, sizes, gpu=memory)
        with monkeypatch.context() as patch:
            patch.setattr(pace.hardware, "uses_gpu", lambda accelerator: True)
            patch.setattr(pace.hardware, "gpu_memory", lambda accelerator, own=memory: own)
            assert decided(AUTO, runs, sizes).width == planned.width
        assert planned.workers == 1
        widths.append(planned.width)
    most, some, none = widths
    assert (most, none) == (WIDEST, 1)
    assert some is not None
    assert 1 < some < WIDEST


def test_packs_that_gain_nothing_are_not_made() -> None:
    assert numbers(nano(8, "fp32"), LARGE) == (4, 1)


def test_jobs_of_a_moment_stay_in_one_process() -> None:
    assert numbers(nano(8), FEW) == (1, 1)


def test_what_was_typed_is_kept() -> None:
    assert numbers(nano(8), LARGE, Protocol(workers=2, width=3)) == (2, 3)
    assert numbers(nano(8), FEW, Protocol(workers=None, width=3)) == (1, 3)


def test_a_search_has_one_worker_unless_a_number_is_typed() -> None:
    search = Search(trials=5)
    assert numbers(nano(8), LARGE, replace(AUTO, search=search)) == (1, 1)
    assert numbers(nano(8), LARGE, Protocol(search=search, workers=3, width=None)) == (3, 1)


def test_jobs_of_several_processes_each_have_no_others_beside_them() -> None:
    configs = [replace(c, trainer=replace(c.trainer, devices=2)) for c in nano(8)]
    assert numbers(configs, LARGE)[0] == 1


def test_little_memory_makes_fewer_workers_and_narrow_packs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for memory in (10**8, 2 * 10**9, 8 * 10**9, 10**11):
        monkeypatch.setattr(pace, "machine_memory", lambda memory=memory: memory)
        found.append(numbers(nano(8), LARGE))
    workers, widths = zip(*found, strict=True)
    assert (workers[0], workers[-1], widths[0], widths[-1]) == (1, 4, 1, WIDEST)
    assert 1 < workers[1] < 4
    assert 1 < widths[2] < WIDEST


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("tokens", [64, 250])
def test_what_a_step_keeps_is_not_underestimated(tokens: int) -> None:
    """The peak of this process, read beside what is foretold."""
    from loraexp.runs.load import build_model
    from loraexp.runtime.hardware import peak_memory_bytes, reset_peak_memory
    from loraexp.training.packs.network import PackNetwork

    width = 6
    networks = [build_model(config, ("a", "b")).network for config in nano(width, "fp32")]
    pack = PackNetwork(networks[0])
    for number, network in enumerate(networks):
        pack.add(number, network)
    texts = torch.randint(0, 4096, (8, tokens)), torch.full((8,), tokens)
    before = current()
    reset_peak_memory()
    logits = pack.logits(dict.fromkeys(range(width), texts))
    torch.autograd.backward(
        [F.cross_entropy(own, torch.zeros(8).long()) for own in logits.values()]
    )
    measured = (peak_memory_bytes("cpu") - before) / width
    foretold = kept(nano(1, "fp32")[0], tokens)
    assert measured <= foretold <= 6 * measured


def current() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_keys_that_are_not_for_a_single_run_are_refused() -> None:
    from loraexp.errors import UserError

    with pytest.raises(UserError, match=r"pack\.width=2 is for a sweep"):
        plan(TRAIN, [*TINY, "pack.width=2"])
    with pytest.raises(UserError, match=r"leave out pack\.width"):
        plan(TRAIN, [*TINY, "pack.width=2", "search.trials=2", "lora.rank=1,2"])
