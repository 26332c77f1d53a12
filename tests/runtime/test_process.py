"""What a process is told by the import of loraexp."""

import os
import platform
import subprocess
import sys

import pytest

from loraexp.runtime.process import RANKS, configure_process

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="mallopt is glibc's, and the C library here is another: nothing is set, nothing to see",
)

# Asks for 8 MB, writes to it and frees it, again and again: prints the pages that were asked for.
FAULTS = """
import resource
if {configured}:
    import loraexp
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use(times):
    for _ in range(times):
        bytes(2**23).replace(b"x", b"y")
use(3)
before = faults()
use(20)
print(faults() - before)
"""


def faults(*, configured: bool, **environment: str) -> int:
    inherited = {k: v for k, v in os.environ.items() if "MALLOC" not in k}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(configured=configured)],
        env={**inherited, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@needs_glibc
def test_freed_memory_is_kept() -> None:
    fewest = 8 * 2**20 // os.sysconf("SC_PAGE_SIZE")  # pages of one piece
    assert faults(configured=True) < fewest
    assert faults(configured=False, MALLOC_TRIM_THRESHOLD_="1000000") > 10 * fewest


@needs_glibc
def test_the_users_own_settings_win() -> None:
    fewest = 8 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    assert faults(configured=True, MALLOC_TRIM_THRESHOLD_="1000000") > 10 * fewest


@pytest.mark.parametrize(
    "name",
    [
        "GOMP_SPINCOUNT",
        "LRU_CACHE_CAPACITY",
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
        "OPENBLAS_THREAD_TIMEOUT",
    ],
)
def test_what_the_environment_says_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name, raising=False)
    configure_process()
    assert int(os.environ[name]) < 100_000
    monkeypatch.setenv(name, "300000")
    configure_process()
    assert os.environ[name] == "300000"


@pytest.mark.parametrize("name", RANKS)
def test_a_rank_that_is_no_number_is_left_out_and_a_number_stays(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, kept in (("r8", None), ("", None), ("-1", None), ("3", "3")):
        monkeypatch.setenv(name, value)
        configure_process()
        assert os.environ.get(name) == kept
