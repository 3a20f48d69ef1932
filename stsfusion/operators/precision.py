"""Precision: float32 that is float32, on every device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.backends import cudnn

__all__ = ["full_precision"]


_lock = threading.Lock()
_held: list[Callable[[], None]] = []
"""How to undo it, once for each who is inside; the first one's is done when the last has left."""


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep convolutions and matrix products on a GPU in float32; what was set before is set again after.

    Left alone, torch lets a GPU convolve with ten bits of mantissa (TF32): an error of about 1e-3 of the
    value, a hundred times what a tile's border may leave. The setting is the process's: of several threads
    the last to leave sets it back.
    """
    with _lock:
        if not _held:
            _held.append(partial(_set, torch.get_float32_matmul_precision(), cudnn.allow_tf32))
            _set("highest", False)
        else:
            _held.append(_held[0])
    try:
        yield
    finally:
        with _lock:
            undo = _held.pop()
            if not _held:
                undo()


def _set(products: str, convolutions: bool) -> None:
    torch.set_float32_matmul_precision(products)
    cudnn.allow_tf32 = convolutions
