"""Translate: an image fetched from a displaced place, to a fraction of a pixel."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["TAPS", "translate"]

TAPS = 4
"""Pixels beyond the whole displacement that a fetched pixel looks at, on either side."""


def translate(
    image: Tensor, offset: tuple[float, float], kind: Literal["sinc", "bilinear"] = "sinc"
) -> Tensor:
    """y(p) = x(p + offset): interpolate (c, y, x); edges are repeated.

    Parameters
    ----------
    image
        (c, y, x).
    offset
        (down, right), pixels, may be fractional.
    kind
        A windowed sinc (Lanczos, 2 × 4 taps of unit sum), or bilinear, which never overshoots.

    Source: Duchon (1979), Lanczos window.
    """
    for axis, distance in zip((1, 2), offset, strict=True):
        image = _along(image, axis, distance, kind)
    return image


def _along(image: Tensor, axis: int, distance: float, kind: str) -> Tensor:
    whole = math.floor(distance)
    part = distance - whole
    if part < 1e-9:
        taps, weights = [0], [1.0]
    elif kind == "bilinear":
        taps, weights = [0, 1], [1.0 - part, part]
    else:
        taps = list(range(1 - TAPS, TAPS + 1))
        raw = [_lanczos(tap - part) for tap in taps]
        weights = [weight / sum(raw) for weight in raw]
    places = torch.arange(image.shape[axis], device=image.device) + whole
    out = torch.zeros_like(image)
    for tap, weight in zip(taps, weights, strict=True):
        out.add_(image.index_select(axis, (places + tap).clamp(0, image.shape[axis] - 1)), alpha=weight)
    return out


def _lanczos(x: float) -> float:
    if abs(x) < 1e-12:
        return 1.0
    turn = math.pi * x
    return TAPS * math.sin(turn) * math.sin(turn / TAPS) / turn**2 if abs(x) < TAPS else 0.0
