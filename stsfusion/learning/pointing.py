"""Pointing: where a sensor's footprints lie off their blocks, date by date, found against a guide.

::

    y ≈ β P(s) g        P(s + δ) g ≈ P(s) g + δ_y P(s) ∂_y g + δ_x P(s) ∂_x g        s += δ, a few times

A displacement stands only if it is far larger than chance makes it.

Source: Lucas and Kanade (1981), with a regression in the place of the brightness that stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.learning.changes import Seen
from stsfusion.learning.sighting import displaced
from stsfusion.operators.blur import Blur

__all__ = ["pointing"]

_STEPS = 5
"""Rounds; steps are quartered within three."""

_FAR = 2.0
"""Fine pixels beyond which a displacement is not looked for."""

_SURE = 4.0
"""Standard errors that a displacement must be worth."""

_KIN = 9.0
"""Values that err together as one, for the standard error."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """Clear coarse pixels of all tiles at one date."""

    low: Tensor
    """(q, n) guide, blurred."""

    down: Tensor
    """(q, n) its slope downwards, blurred."""

    right: Tensor
    """(q, n) its slope to the right, blurred."""

    values: Tensor
    """(b, n)."""


def pointing(tiles: Sequence[tuple[Tensor, Seen]], load: float) -> Tensor:
    """(t, 2) displacement (down, right) in fine pixels of every date, from tiles of (q, H, W) components."""
    dates = len(tiles[0][1].kernels)
    return torch.stack([_found(tiles, date, load) for date in range(dates)])


def _found(tiles: Sequence[tuple[Tensor, Seen]], date: int, load: float) -> Tensor:
    shift, sure = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    for _ in range(_STEPS):
        rows = _rows(tiles, date, shift)
        if rows.values.shape[1] < 4 * rows.low.shape[0]:
            return torch.zeros(2)
        step, sure = _step(rows, load)
        shift = (shift + step.clamp(-0.5, 0.5)).clamp(-_FAR, _FAR)
    worth = float(shift @ torch.linalg.solve(sure, shift))
    return shift.float() if worth > _SURE**2 else torch.zeros(2)


def _rows(tiles: Sequence[tuple[Tensor, Seen]], date: int, shift: Tensor) -> _Rows:
    parts: list[list[Tensor]] = [[], [], [], []]
    for components, seen in tiles:
        kernel, clear = displaced(seen.kernels[date], shift.tolist()), seen.clear[date]
        down, right = torch.gradient(components, dim=(1, 2))
        for part, image in zip(parts, (components, down, right), strict=False):
            count, rows, cols = image.shape
            part.append(Blur(kernel, seen.ratio, (1, count, rows, cols))(image[None])[0][:, clear])
        parts[3].append(seen.values[date][:, clear])
    return _Rows(*(torch.cat(part, 1).double().cpu() for part in parts))


def _step(rows: _Rows, load: float) -> tuple[Tensor, Tensor]:
    """(2,) how much further, and its (2, 2) covariance."""
    x = rows.low - rows.low.mean(1, keepdim=True)
    y = rows.values - rows.values.mean(1, keepdim=True)
    count = x.shape[1]
    slope = torch.linalg.solve(x @ x.T / count + load * torch.eye(len(x)).to(x), x @ y.T / count)
    left = y - slope.T @ x
    moves = torch.stack([slope.T @ rows.down, slope.T @ rows.right])
    moves = moves - moves.mean(2, keepdim=True)
    frame = torch.linalg.qr(x.T).Q
    moves = moves - (moves @ frame) @ frame.T
    weight = 1.0 / left.square().mean(1).clamp_min(1e-30)
    gram = torch.einsum("ibn,jbn,b->ij", moves, moves, weight)
    told = torch.einsum("ibn,bn,b->i", moves, left, weight)
    inverse = torch.linalg.inv(gram + 1e-9 * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(2).to(gram))
    return inverse @ told, inverse * _KIN
