"""What a process is told once, before torch is imported: how its threads wait, what it keeps of
memory and of kernels."""

import ctypes
import os
import sys

# glibc's mallopt(3). Pieces of at least MAPPED bytes (a base's embeddings) go back to the system
# when they are freed; smaller ones (a step's activations) stay for the next step.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED = 2**26


def settle() -> None:
    """Set all three, unless the user's environment has something of its own to say."""
    # OpenMP threads that wait by spinning bring a step to a crawl (13.7 s for 0.36 s, measured) as
    # soon as any other process wants a core.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
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
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
