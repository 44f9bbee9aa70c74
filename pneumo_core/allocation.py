"""Main memory that a batch has given back is kept for the next one.

glibc hands every tensor of more than 32 MB back to the kernel as soon as it is free, and the next
batch pays again for having each page of it cleared. Reading films through a frozen network, that
was measured as more than half of the processor's time. What another thread than the first asks for
comes from a heap of its own, of which the same is true; so there is one heap for all.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3)
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_MMAP_MAX: 65_536, M_ARENA_MAX: 0}
KEEPING = {M_TRIM_THRESHOLD: 2**31 - 1, M_MMAP_MAX: 0, M_ARENA_MAX: 1}

_depth = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep up to 2 GB until the outermost end, then give it back; without glibc do nothing.

    A thread that began before keeps its own heap.
    """
    global _depth
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        yield
        return
    for option, value in KEEPING.items():
        libc.mallopt(option, value)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            for option, value in DEFAULTS.items():
                libc.mallopt(option, value)
            libc.malloc_trim(0)
