"""Footprint: what a coarse pixel sees of the fine ones in the protocol of hyperspectral–multispectral tables.

::

    gaussian:S   exp(−d² / 2 S²) at the centres of the pixel's own r × r block, nothing outside it
    fwhm:R       a Gaussian of full width R at half maximum, which overlaps the neighbours' blocks
    box          the mean of the block

    block        |■ ■ ■ ■|               ratio 4
    shift 0.5    |▁ ■ ■ ■|▁              moved right by half a pixel: the edge cuts pixels in two
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stsfusion.errors import ProblemError, nearest
from stsfusion.operators.blur import gaussian_kernel

__all__ = ["footprint", "nominal_footprint"]

_KINDS = ("gaussian", "fwhm", "box")
_NARROWEST, _WIDEST = 0.1, 16
"""Width of a Gaussian: at least so many fine pixels, at most so many coarse ones."""


def footprint(psf: str, ratio: int, shift: float = 0.0) -> Tensor:
    """(k, k) weights of unit sum on the fine grid, double precision.

    Parameters
    ----------
    psf
        'gaussian:S', 'fwhm:R' (fine pixels) or 'box'.
    ratio
        Fine pixels along one side of a coarse one.
    shift
        Fine pixels by which the footprint lies off its block, down and right alike; fractions allowed.

    Raises
    ------
    ProblemError
        When there is no such footprint.
    """
    kind, _, width = psf.partition(":")
    if kind == "box" and not width:
        profile = _inside(ratio, shift)
        return torch.outer(profile, profile) / profile.sum() ** 2
    size = _size(psf, kind, width, ratio)
    if kind == "fwhm":
        return gaussian_kernel(size, ratio, (shift, shift))
    profile = _inside(ratio, shift)
    profile = profile * torch.exp(-0.5 * ((_places(len(profile)) - shift) / size) ** 2)
    return torch.outer(profile, profile) / profile.sum() ** 2


def nominal_footprint(ratio: int) -> Tensor:
    """(k, k) what one guesses who knows the ratio alone: a Gaussian of full width r, wide enough for a shift.

    The support reaches max(3, ⌈3 r / 4⌉) fine pixels beyond the block on every side.
    """
    size = ratio + 2 * max(3, math.ceil(0.75 * ratio))
    profile = torch.exp2(-((2.0 * _places(size) / ratio) ** 2))
    return torch.outer(profile, profile) / profile.sum() ** 2


def _size(psf: str, kind: str, width: str, ratio: int) -> float:
    """The number after the colon."""
    try:
        size = float(width)
    except ValueError:
        size = math.nan
    if kind not in ("gaussian", "fwhm") or not _NARROWEST <= size <= _WIDEST * ratio:
        known = kind in _KINDS
        raise ProblemError(
            "point spread function",
            expected=f"gaussian:SIGMA, fwhm:WIDTH ({_NARROWEST:g} to {_WIDEST * ratio} fine pixels) or box",
            got=f"'{psf}'",
            mend="Write gaussian:0.5, say." if known else nearest(kind, _KINDS),
        )
    return size


def _places(size: int) -> Tensor:
    """(size,) offsets from the middle, fine pixels."""
    return torch.arange(size, dtype=torch.float64) - (size - 1) / 2


def _inside(ratio: int, shift: float) -> Tensor:
    """(k,) share of every fine pixel that lies in the moved block."""
    places = _places(ratio + 2 * math.ceil(abs(shift)))
    return (ratio / 2 + 0.5 - (places - shift).abs()).clamp(0.0, 1.0)
