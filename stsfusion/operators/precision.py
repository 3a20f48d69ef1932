"""Precision: float32 that is float32, on every device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn

__all__ = ["full_precision"]


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep convolutions and matrix products on a GPU in float32; what was set before is set again after.

    Left alone, torch lets a GPU convolve with ten bits of mantissa (TF32): an error of about 1e-3 of the
    value, a hundred times what a tile's border may leave.
    """
    before = torch.get_float32_matmul_precision()
    kept = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    with cudnn.flags(**kept, allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
