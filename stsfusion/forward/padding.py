"""Padding: make rows and columns multiples of a ratio by reflection, and cut back to the original extent."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["pad_to_multiple", "unpad"]


def pad_to_multiple(cube: Tensor, multiple: int) -> Tensor:
    """Mirror the last rows and columns of (..., y, x) outward, without repeating the edge itself.

    ::

        0 1 2 3 4  ->  0 1 2 3 4 3     multiple 3
    """
    rows, cols = (_mirrored(size, multiple) for size in cube.shape[-2:])
    return cube[..., rows, :][..., cols] if len(rows) + len(cols) > sum(cube.shape[-2:]) else cube


def unpad(cube: Tensor, rows: int, cols: int) -> Tensor:
    """The original extent of a padded (..., y, x)."""
    return cube[..., :rows, :cols]


def _mirrored(size: int, multiple: int) -> Tensor:
    index = torch.arange(-(-size // multiple) * multiple)
    folded = index % max(2 * (size - 1), 1)
    return torch.minimum(folded, 2 * (size - 1) - folded)
