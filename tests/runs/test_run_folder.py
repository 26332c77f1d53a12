"""A run's folder has one holder, and a finished run's result stays, with flock and without."""

import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import without_flock
from in_process import TINY

from loraexp.config.schema import TrainConfig
from loraexp.runs.removal import remove, strangers
from loraexp.runs.run_folder import Busy, RunFolder
from loraexp.runtime import lease, locks
from loraexp.runtime.locks import LEASE, LOCK, Lock
from loraexp.training import measure
from loraexp.training import run as runs
from loraexp.training.run import score, train


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", without_flock.refuse)
    monkeypatch.setattr(lease, "LOOK", 1e-3)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_without_flock_a_run_is_held_removed_and_leaves_nothing(
    tmp_path: Path, no_flock: None
) -> None:
    folder = RunFolder(tmp_path / "train" / "run")
    with folder.held():
        assert names(folder.path) == {LOCK, LEASE}
        assert folder.busy
        assert strangers(folder.path) == []
        with pytest.raises(Busy, match="is being trained by another process, "):
            RunFolder(folder.path).lock(patient=False)
        with pytest.raises(Busy):
            remove(folder.path)
        folder.check()
    assert not folder.path.exists()
    with folder.held():
        (folder.path / "metrics.csv").touch()
    assert names(folder.path) == {LOCK, "metrics.csv"}
    remove(folder.path)
    assert names(folder.path.parent) == set()


@pytest.mark.parametrize("lock", ["flock", "no_flock"])
def test_who_waited_for_a_refused_run_holds_it_alone(
    lock: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if lock == "no_flock":
        request.getfixturevalue(lock)
    folder, holders = tmp_path / "run", list[str]()

    def take_turns(name: str) -> None:
        for _ in range(20):
            with RunFolder(folder).held(patient=True):
                holders.append(name)
                assert set(holders) == {name}
                holders.clear()

    with ThreadPoolExecutor(2) as pool:
        for turn in [pool.submit(take_turns, name) for name in "ab"]:
            turn.result(timeout=60)
    assert not folder.exists()


def lose(folder: Path) -> None:
    """As if another machine had taken it over."""
    (folder / LEASE).unlink()
    (folder / LEASE).write_text("another's")


@pytest.mark.parametrize("work", [train, score])
@pytest.mark.parametrize("at", ["evaluate", "fit_adapter"])
def test_a_holder_that_lost_its_run_writes_no_result(
    at: str, work: Any, small: TrainConfig, no_flock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.trainer.max_epochs = 1
    folder, before = RunFolder.of(small), getattr(runs, at)

    def lost(*given: Any) -> Any:
        lose(folder.path)
        return before(*given)

    for module in (runs, measure):
        monkeypatch.setattr(module, at, lost, raising=module is runs)
    with pytest.raises(Busy, match="was taken over by another process while this one stood still"):
        work(small)
    left = {"config.yaml", LOCK, LEASE, *(["checkpoints"] if at == "evaluate" else [])}
    assert names(folder.path) == left
    assert (folder.path / LEASE).read_text() == "another's"


@pytest.mark.parametrize(("work", "checked"), [(train, True), (score, True), (train, False)])
def test_a_doubled_run_never_writes_over_the_one_that_finished_first(
    work: Any, checked: bool, small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system whose flock says yes to everybody; one without a second look at the end,
    for what comes between that and the writing."""
    small.trainer.max_epochs = 1
    folder, before = RunFolder.of(small), runs.evaluate
    first: list[dict[str, bytes]] = []

    def content() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}

    def meanwhile(*given: Any) -> Any:
        if not first:
            first.append({})
            work(small)
            first.append(content())
        return before(*given)

    monkeypatch.setattr(locks, "exclusive", lambda number: None)
    for module in (runs, measure):
        monkeypatch.setattr(module, "evaluate", meanwhile)
    if not checked:
        check = RunFolder.check
        blind = lambda folder, *_, done=False: check(folder, True) if done else None  # noqa: E731
        monkeypatch.setattr(RunFolder, "check", blind)
    with pytest.raises(Busy, match="was finished by another process"):
        work(small)
    assert content().keys() == first[1].keys()
    if checked:
        assert content() == first[1]
    assert content()["record.json" if work is train else "validation.json"] in first[1].values()
    work(small)  # shows it


def test_a_run_is_another_ones_only_if_somebody_took_it(small: TrainConfig, no_flock: None) -> None:
    """The control."""
    small.trainer.max_epochs = 1
    train(small)
    assert RunFolder.of(small).finished
    assert LEASE not in names(RunFolder.of(small).path)


def test_what_a_lost_holder_leaves_alone_is_the_new_ones(tmp_path: Path, no_flock: None) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        lose(folder.path)
    assert names(folder.path) == {LOCK, LEASE}
    (folder.path / LEASE).unlink()
    with folder.held():
        pass
    assert not folder.path.exists()


@pytest.mark.slow  # three processes
def test_the_same_run_twice_at_once_without_flock_leaves_what_one_alone_leaves(
    tmp_path: Path,
) -> None:
    typed = ["train", *TINY, "trainer.max_epochs=2", "lora.dropout=0.1"]
    for name in ("alone", "twice"):
        (tmp_path / name).mkdir()
    alone = [sys.executable, "-m", "loraexp", *typed]
    subprocess.run(alone, cwd=tmp_path / "alone", check=True, capture_output=True, timeout=300)
    command = [sys.executable, without_flock.__file__, *typed]
    both = [
        subprocess.Popen(
            command,
            cwd=tmp_path / "twice",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[1] for process in both]
    statuses = sorted(process.returncode for process in both)
    assert statuses in ([0, 0], [0, 2]), told
    for process, said in zip(both, told, strict=True):
        assert "Traceback" not in said
        assert process.returncode == 0 or "is being trained by another process, " in said
    assert sum("this file system has no flock" in said for said in told) >= 1
    (one,), (two,) = ([*(tmp_path / n / "outputs/train").iterdir()] for n in ("alone", "twice"))
    assert one.name == two.name
    assert names(one) == names(two)
    tensors = Path("adapter") / "adapter_model.safetensors"
    assert (one / tensors).read_bytes() == (two / tensors).read_bytes()
    left, right = (json.loads((run / "record.json").read_text()) for run in (one, two))
    for key in ("hashes", "metrics", "predictions", "config"):
        assert left[key] == right[key], key
    assert not Lock(two).busy


def test_what_the_main_process_has_just_written_stops_no_other_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Busy, match="was finished by another process"):  # the control
        folder.check(True)
    monkeypatch.setattr("loraexp.runs.run_folder.is_main_process", lambda: False)
    folder.check(True)
