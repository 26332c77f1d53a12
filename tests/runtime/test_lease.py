"""A lease is taken over when its holder is dead and never else, and no clock of another machine
says when that is. Nobody waits here: to sleep is to look at once."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loraexp.runtime import lease
from loraexp.runtime.lease import SPAN, Held, Lease, identity, read, remove, take
from loraexp.runtime.locks import LEASE

LOOKS = round(lease.SPAN / lease.LOOK)  # of a watcher, until it takes over
DAYS = 5 * 86400.0


class Looks:
    """In place of `time` in the module: each sleep is counted, and does what it is told to."""

    def __init__(self) -> None:
        self.n = 0
        self.between: Callable[[int], None] = lambda n: None

    def sleep(self, seconds: float) -> None:
        self.n += 1
        if self.n > 100 * LOOKS:
            raise TimeoutError("it waits for ever")
        self.between(self.n)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks()
    monkeypatch.setattr(lease, "time", made)
    return made


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lease]:
    """The lease of a process of another machine, renewed by nothing but the test."""
    with monkeypatch.context() as patch:
        patch.setattr(lease, "identity", lambda: {**identity(), "kernel": "other", "host": "far"})
        patch.setattr(threading.Thread, "start", lambda thread: None)
        made = Lease.make(tmp_path / LEASE)
    yield made
    made.release()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_number_that_another_process_has_by_now_is_no_sign_of_life(
    tmp_path: Path, elsewhere: Lease
) -> None:
    here = {**identity(), "start": "1"}
    if not here["kernel"]:
        pytest.skip("this system does not tell when a process has started (/proc)")
    elsewhere.holder = here
    elsewhere.renew()
    assert lease.alive(read(elsewhere.path)) is False
    elsewhere.holder = identity()
    elsewhere.renew()
    assert lease.alive(read(elsewhere.path)) is True


@pytest.mark.parametrize("ahead", [-DAYS, 0, DAYS])
def test_who_is_silent_for_the_span_is_taken_over_whatever_its_clock_says(
    ahead: float, elsewhere: Lease, looks: Looks
) -> None:
    def utime(n: int) -> None:
        os.utime(elsewhere.path, (time.time() + ahead,) * 2)

    looks.between = utime
    mine = take(elsewhere.path, patient=False)
    assert looks.n == LOOKS
    assert mine.renew()
    assert not elsewhere.renew()
    before = read(mine.path)
    elsewhere.release()  # leaves alone what is another's
    assert read(mine.path) == before
    mine.release()
    assert not mine.path.exists()


@pytest.mark.parametrize("ahead", [-DAYS, 0, DAYS])
def test_who_renews_is_never_taken_over_whatever_its_clock_says(
    ahead: float, elsewhere: Lease, looks: Looks
) -> None:
    naive = set()

    def renewed(n: int) -> None:
        if n % LOOKS == 0:  # at the last moment, each time
            assert elsewhere.renew()
        os.utime(elsewhere.path, (time.time() + ahead,) * 2)
        naive.add(time.time() - elsewhere.path.stat().st_mtime > SPAN)
        if n == 10 * LOOKS:
            raise KeyboardInterrupt

    looks.between = renewed
    with pytest.raises(KeyboardInterrupt):
        take(elsewhere.path, patient=True)
    assert naive == {ahead < 0}  # the control: by clocks it would have been
    looks.n, looks.between = 0, lambda n: renewed(LOOKS)
    with pytest.raises(Held, match=rf"another process, {os.getpid()} on far"):
        take(elsewhere.path, patient=False)
    assert looks.n == 1  # as soon as it shows a sign of life


@pytest.mark.parametrize("when", ["before it is moved", "after"])
def test_a_sign_of_life_at_the_last_moment_keeps_the_lease(
    when: str, elsewhere: Lease, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, ends = Path.replace, iter([True])

    def late(path: Path, target: Path) -> Path:
        told = [elsewhere.renew()] if when != "after" else []
        moved = replace(path, target)
        told += [elsewhere.renew()] if when == "after" else []
        assert told == [when != "after"]
        return moved

    def stop(n: int) -> None:
        if n > LOOKS and next(ends, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", late)
    looks.between = stop
    with pytest.raises(KeyboardInterrupt):
        take(elsewhere.path, patient=True)
    assert elsewhere.renew()
    assert names(elsewhere.path.parent) == {LEASE}


def test_one_of_many_that_saw_it_die_takes_it_over(tmp_path: Path, elsewhere: Lease) -> None:
    stale, wanting = read(elsewhere.path), 6

    def want(path: Path, start: threading.Barrier) -> Lease | None:
        start.wait(timeout=60)
        remove(path, stale, path.with_name("claim"))
        try:
            return Lease.make(path)
        except FileExistsError:
            return None

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(wanting) as pool:
            for n in range(50):
                path, start = tmp_path / str(n), threading.Barrier(wanting)
                path.write_bytes(stale)
                asked = [pool.submit(want, path, start) for _ in range(wanting)]
                (winner,) = [found for one in asked if (found := one.result(timeout=60))]
                assert winner.renew()
                winner.release()
    finally:
        sys.setswitchinterval(interval)
    assert names(tmp_path) == {LEASE}


def test_who_comes_late_to_a_takeover_leaves_the_new_lease_alone(
    elsewhere: Lease, looks: Looks
) -> None:
    stale = read(elsewhere.path)
    mine = take(elsewhere.path, patient=False)
    claim = mine.path.with_name("claim")
    remove(mine.path, stale, claim)
    assert mine.renew()
    assert not claim.exists()
    mine.path.unlink()  # the control: what a watcher without a second look would do
    assert not mine.renew()
    mine.release()


def test_who_was_killed_over_a_takeover_stops_nobody(
    elsewhere: Lease, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            take(elsewhere.path, patient=False)
    assert len(names(elsewhere.path.parent)) == 2
    mine = take(elsewhere.path, patient=False)
    assert names(elsewhere.path.parent) == {LEASE}
    mine.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 4000, b'{"kernel": 1}', b"\xff" * 9000])
def test_a_lease_of_anything_is_taken_over_as_one_that_is_silent(
    content: bytes, tmp_path: Path, looks: Looks
) -> None:
    (tmp_path / LEASE).write_bytes(content)
    take(tmp_path / LEASE, patient=False).release()
    assert looks.n == LOOKS


def test_the_holder_renews_by_itself_until_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed, made, renew = threading.Event(), threading.enumerate(), Lease.renew

    def told(one: Lease) -> bool:
        if one.count >= 3:
            renewed.set()
        return renew(one)

    monkeypatch.setattr(lease, "PERIOD", 1e-3)
    monkeypatch.setattr(Lease, "renew", told)
    mine = take(tmp_path / LEASE, patient=False)
    (thread,) = [one for one in threading.enumerate() if one not in made]
    assert thread.daemon
    assert renewed.wait(timeout=60)
    mine.path.unlink()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert not mine.renew()
    mine.release()
