"""What the C library does with memory that was given back."""

from __future__ import annotations

import ctypes
import os

# The options of glibc's mallopt(3) that are set, and to what.
_OPTIONS = {
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: the end of the heap is never handed back
    -4: 0,  # M_MMAP_MAX: nothing has a mapping of its own, which is handed back as soon as it is freed
    -8: 1,  # M_ARENA_MAX: one heap for all threads; the heaps of threads end at 64 MB, and are handed back
}
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")  # beginnings of variables


def keep_freed_memory() -> bool:
    """Has this process keep the memory that a step frees, for the next one.

    A training step on CPUs allocates its activations and frees them again. glibc hands most of them back to
    the system, which clears every page of them for the next step: a quarter of the step's time
    (docs/performance.md). The price is a tenth to two fifths more memory at the peak.

    It comes before threads start. Nothing happens with another C library, or where the environment chooses
    an allocator or its settings (`MALLOC_…`, `GLIBC_TUNABLES`, `LD_PRELOAD`).

    Returns: whether this process keeps freed memory now.

    Example:
        >>> kept = keep_freed_memory()
    """
    if any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return False
    try:
        glibc = ctypes.CDLL("libc.so.6")
        mallopt = glibc.mallopt
        glibc.gnu_get_libc_version  # noqa: B018 - only glibc has it
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, value) == 1 for option, value in _OPTIONS.items())
