"""Mend: undo what a transfer in text mode did to an array of two-byte counts.

Such a transfer turns every byte 13 (carriage return) into a byte 10 (line feed). Where it hit the upper byte,
counts from 13·256 = 3328 to 3583 now stand 768 lower, among true counts from 2560 to 2815:

    histogram   … ▆▆▆▆ 2560 ▇▇▇▇ 2815 ▆▆▆▆ 3327 |  nothing  | 3584 ▆▆▆▆ …

The Indian Pines array of tensorly 0.10 is one of these. Which of the two a count is, its own spectrum tells:
the step of 768 is far above the noise. (In the lower byte the damage is 3 counts, and stays.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_damaged", "undo_text_mode"]

Array = NDArray[np.float32]

_STEP = (13 - 10) * 256
"""What a hit count has lost."""

_RANK = 8
"""Size of the subspace in the end; it grows by one a fit while doubtful counts are filled freely."""

_ROUNDS = 12
"""Fits, at most, that choose between the two readings."""


def is_damaged(counts: NDArray[np.int64]) -> bool:
    """Whether no count has an upper byte of 13 while both neighbours, 12 and 14, occur."""
    upper = np.bincount((counts >> 8).ravel(), minlength=15)
    return bool(upper[13] == 0 and upper[12] > 0 and upper[14] > 0)


def undo_text_mode(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts (band, y, x) with the lost upper bytes put back; undamaged arrays come back as they are.

    Doubtful counts start as unknown: a subspace is fitted to the spectra and fills them a few times. Then
    each becomes the one of its two readings that lies nearer to the fit, until none changes any more.
    """
    if not is_damaged(counts):
        return counts
    doubtful = (counts >> 8 == 10).reshape(len(counts), -1)
    flat = counts.reshape(len(counts), -1).astype(np.float32)
    now = _first_guess(flat, doubtful)
    for rank in range(1, _RANK + 1):
        now = np.where(doubtful, _subspace(now, rank), flat)
    for _ in range(_ROUNDS):
        fit = _subspace(now, _RANK)
        high = doubtful & (np.abs(flat + _STEP - fit) < np.abs(flat - fit))
        after = np.where(high, flat + _STEP, flat)
        if np.array_equal(after, now):
            break
        now = after
    return np.asarray(now.reshape(counts.shape), dtype=np.int64)


def _first_guess(flat: Array, doubtful: NDArray[np.bool_]) -> Array:
    """Doubtful counts by the spectrum's brightness alone: what the band shows where all is certain."""
    known = ~doubtful
    mean = (flat * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    ratio = np.where(known, flat, 0).sum(axis=0) / np.maximum((mean[:, None] * known).sum(axis=0), 1e-9)
    return np.where(doubtful, mean[:, None] * ratio, flat).astype(np.float32)


def _subspace(flat: Array, rank: int) -> Array:
    """Projection of (band, pixel) on the leading principal components of its bands at unit variance."""
    mean = flat.mean(axis=1, keepdims=True)
    spread = np.maximum(flat.std(axis=1, keepdims=True), 1.0)
    unit = (flat - mean) / spread
    _, axes = np.linalg.eigh(unit @ unit.T)
    kept = axes[:, -rank:]
    return np.asarray((kept @ (kept.T @ unit)) * spread + mean)
