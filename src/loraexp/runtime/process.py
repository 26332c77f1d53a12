"""What a process is told once, as soon as `loraexp` is imported and best before torch is: how its
threads wait, what it keeps of memory and of kernels. And how a command reads and prints."""

import io
import os
import sys
from contextlib import suppress

# glibc's mallopt(3). Pieces of at least MAPPED bytes (a base's embeddings) go back to the system
# when they are freed; smaller ones (a step's activations) stay for the next step.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED = 2**26
# Lightning and torchmetrics take these for numbers as soon as they are imported; in a shell they
# may be anything, as RANK=r8.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def configure_process() -> None:
    """Set all three, unless the user's environment has something of its own to say, and leave out
    of it what would stop an import."""
    for name in RANKS:
        if not os.environ.get(name, "0").isdecimal():
            del os.environ[name]
    # OpenMP threads that wait by spinning bring a step to a crawl (13.7 s for 0.36 s, measured) as
    # soon as any other process wants a core.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # So do OpenBLAS's (numpy), by default for 2^26 cycles: beside other processes the tests of a
    # table of 10,000 runs took twice as long (OpenMathLib/OpenBLAS, issue 5171).
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")
    # oneDNN keeps 0.6 MB for a product of each shape it has seen, 1,024 of them, and torch as many
    # again: a run of GPT-2 124M grew by 0.8 GB. Half and a few do, and cost no time.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
    if not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Keep what is freed: a step of GPT-2 124M, batch 8, asked the system for 6,500 pages anew each
    time, and took 180 ms instead of 152. Does nothing where the C library is another."""
    if sys.platform != "linux":
        return
    from _ctypes import call_function, dlopen, dlsym  # ctypes takes 2 ms, which --help would wait

    with suppress(OSError):  # another C library has no mallopt
        mallopt = dlsym(dlopen(None, 0), "mallopt")  # type: ignore[arg-type]
        call_function(mallopt, (M_MMAP_THRESHOLD, MAPPED))
        call_function(mallopt, (M_TRIM_THRESHOLD, 2**31 - 1))


def open_streams() -> None:
    """stdin, stdout and stderr in UTF-8 whatever the locale; one that is closed is /dev/null, or
    the next file that is opened would take its number and get what is printed. A closed stdin stays
    None in `sys`: who wants to read it can tell that from one without a line. Figures go to files.
    """
    os.environ["MPLBACKEND"] = "agg"  # another value may be no backend, which stops its import
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            if number:
                setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if number else "strict")
