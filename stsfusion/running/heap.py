"""Heap: how worker processes take memory from the system, and when they give it back.

Dask tells its workers to give back at once what is freed. Tensors of a few megabytes are then faulted in
anew, page by page, whenever a layer makes one, which can take as long as computing does. Left to itself the
C library keeps a heap for each thread, with holes that no other thread can fill.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

__all__ = ["MALLOC", "compact"]

MALLOC = {
    "MALLOC_ARENA_MAX": 1,  # reading, computing and writing threads share what they free
    "MALLOC_MMAP_THRESHOLD_": 8 * 2**20,  # bytes; larger blocks are the system's own, and leave no holes
    "MALLOC_TRIM_THRESHOLD_": 16 * 2**20,  # bytes that stay free at the end of the heap
}
"""Environment of worker processes, heeded by glibc and by no other C library."""


def compact() -> None:
    """Give back all pages of this process's heap that are free; nothing where the C library cannot."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
