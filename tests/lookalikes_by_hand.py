"""Kriging by likeness and distance, written out window by window on the fine grid, in numpy."""

from __future__ import annotations

import numpy as np


def by_likeness(
    residual: np.ndarray,
    clear: np.ndarray,
    looks: np.ndarray,
    kernel: np.ndarray,
    noise: np.ndarray,
    ratio: int,
) -> np.ndarray:
    """(p, h, w) of which (h, w) are clear to (p, H, W), from the 3×3 coarse pixels about each.

    Looks are (k, H, W); noise is (p,), in variances of a coarse pixel.
    """
    rows, cols = clear.shape
    margin = ratio + (len(kernel) - ratio) // 2
    wide = np.pad(looks, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    span = 3 * ratio + len(kernel) - ratio
    place = np.stack(np.meshgrid(np.arange(span), np.arange(span), indexing="ij"), -1).reshape(-1, 2)
    near = np.exp(-np.linalg.norm(place[:, None] - place[None], axis=2) / (2.0 * ratio))
    spread = np.zeros((9, span, span))
    for n in range(9):
        top, left = n // 3 * ratio, n % 3 * ratio
        spread[n, top : top + len(kernel), left : left + len(kernel)] = kernel
    spread = spread.reshape(9, -1)
    inside = ((place >= margin) & (place < margin + ratio)).all(1)
    out = np.zeros((len(residual), rows * ratio, cols * ratio))
    for y in range(rows):
        for x in range(cols):
            own = wide[:, y * ratio : y * ratio + span, x * ratio : x * ratio + span].reshape(len(looks), -1)
            apart = np.square(own[:, :, None] - own[:, None]).sum(0)
            fine = np.exp(-0.5 * apart / (0.8**2 * len(looks))) * near
            total = spread @ fine @ spread.T
            about = [(y + n // 3 - 1, x + n % 3 - 1) for n in range(9)]
            seen = [0 <= i < rows and 0 <= j < cols and bool(clear[i, j]) for i, j in about]
            there = [at for at, one in zip(about, seen, strict=True) if one]
            mixed, known = (fine @ spread.T)[np.ix_(inside, seen)], total[np.ix_(seen, seen)]
            for p, share in enumerate(noise):
                values = np.array([residual[p, i, j] for i, j in there])
                nugget = share * np.trace(total) / 9 * np.eye(len(there))
                block = mixed @ np.linalg.solve(known + nugget, values)
                out[p, y * ratio : (y + 1) * ratio, x * ratio : (x + 1) * ratio] = block.reshape(ratio, ratio)
    return out
