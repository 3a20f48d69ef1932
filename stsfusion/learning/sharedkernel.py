"""Shared kernel: one point spread function for all dates of a sensor, from sharp images of the same dates.

::

    y_d ≈ B_d (k * Y_d) + c_d        k: (K, K) ≥ 0, Σ k = 1, one for all dates; B_d, c_d: each date's own

The coarse image is what is predicted, so that no kernel wins by flattening the fine one, and each date's own
regression takes what radiometry and bands differ by. What the noise of fine pixels adds to their variance,
under which every kernel would seem wider, is taken away. Three steps, on sums over the coarse pixels:

1. the family: a Gaussian behind a square aperture, by their widths;
2. the free kernel, by non-negative least squares, held to the family's as strongly as the misfit asks for;
3. it stands if, found in one half of the pixels, it tells more of the other half than the family's does.

Source: maximum likelihood with a diagonal covariance, concentrated; Stone (1974) for step 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.operators.nnls import nnls
from stsfusion.operators.sylvester import trimmed

__all__ = ["Look", "Sums", "blurred_square", "shared_kernel", "sums_of"]

_APERTURES = (0.0, 0.5, 1.0)
"""Widths of the aperture that are tried, in ratios."""

_WIDTHS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 1.9)
"""Full widths at half maximum of the Gaussian from which the search starts, in ratios."""

_KIN = 9.0
"""Pixels that err together as one."""

_NOTHING = 1e-3
"""Share of the weight that outer rings may have and be left out."""

_ROUNDS = 5
"""Turns of step 2."""

_FINE = 8
"""Samples a pixel by which the aperture is convolved."""


@dataclass(frozen=True, eq=False)
class Look:
    """One date of one tile, coarse pixels to learn from in rows."""

    patches: Tensor
    """(q, n, K²) fine components under every coarse pixel's support."""

    values: Tensor
    """(p, n) coarse components."""


@dataclass(frozen=True, eq=False)
class Sums:
    """One date's covariances over its coarse pixels."""

    count: float
    """Pixels."""

    gram: Tensor
    """(q, q, K², K²) of the patches, the noise of fine pixels taken away."""

    cross: Tensor
    """(q, K², p) of the patches with the coarse values."""

    power: Tensor
    """(p,) variances of the coarse values."""


def sums_of(looks: Sequence[Look], noise: Tensor) -> tuple[Sums, Sums]:
    """All tiles of one date in two halves; `noise` is the (q, q) covariance of a fine pixel's noise."""
    patches = torch.cat([look.patches for look in looks], 1).double().cpu()
    values = torch.cat([look.values for look in looks], 1).double().cpu()
    half = values.shape[1] // 2
    first, second = slice(None, half), slice(half, None)
    return _sums(patches[:, first], values[:, first], noise), _sums(
        patches[:, second], values[:, second], noise
    )


def _sums(patches: Tensor, values: Tensor, noise: Tensor) -> Sums:
    components, count, places = patches.shape
    patches = patches - patches.mean(1, keepdim=True)
    values = values - values.mean(1, keepdim=True)
    flat = patches.permute(1, 0, 2).reshape(count, components * places)
    gram = (flat.T @ flat / count).reshape(components, places, components, places).permute(0, 2, 1, 3)
    own = torch.einsum("ab,ij->abij", noise.double().cpu(), torch.eye(places, dtype=torch.float64))
    cross = (flat.T @ values.T / count).reshape(components, places, -1)
    return Sums(float(count), gram - own, cross, values.square().mean(1))


def shared_kernel(dates: Sequence[tuple[Sums, Sums]], ratio: int) -> Tensor:
    """(k, k) point spread function, double precision, of unit sum; from the halves of every date."""
    whole = [half for halves in dates for half in halves]
    size = round(whole[0].gram.shape[-1] ** 0.5)
    start = _family(whole, ratio, size)
    gained = 0.0
    for one, other in ((0, 1), (1, 0)):
        here, there = ([halves[which] for halves in dates] for which in (one, other))
        gained += _loss(there, start) - _loss(there, _freed(here, start))
    best = _freed(whole, start) if gained > 0 else start
    return trimmed(best.reshape(size, size), ratio, _NOTHING)


def _loss(dates: Sequence[Sums], kernel: Tensor) -> float:
    """Minus the logarithm of the likelihood of a (K²,) kernel, up to a constant."""
    return sum(0.5 * each.count / _KIN * float(_left(each, kernel)[0].log().sum()) for each in dates)


def blurred_square(aperture: float, width: float, size: int) -> Tensor:
    """(K²,) of unit sum: a Gaussian of full width `width` behind a square of side `aperture`, fine pixels."""
    fine = (torch.arange(size * _FINE, dtype=torch.float64) + 0.5) / _FINE - size / 2
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    sigma = max(width / 2.3548, 1e-3)
    if aperture <= 0:
        line = torch.exp(-0.5 * (places / sigma).square())
    else:
        edges = torch.stack([fine + aperture / 2, fine - aperture / 2]) / (sigma * math.sqrt(2.0))
        line = (edges[0].erf() - edges[1].erf()).reshape(size, _FINE).mean(1)
    line = line / line.sum()
    return torch.outer(line, line).flatten()


def _left(date: Sums, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """(p,) variances that a kernel leaves untold, and the (p, q) regression."""
    own = date.gram @ kernel @ kernel
    mixed = torch.einsum("i,aip->ap", kernel, date.cross)
    load = 1e-9 * own.diagonal().mean().clamp_min(1e-30)
    slope = torch.linalg.solve(own + load * torch.eye(len(own)).to(own), mixed)
    left = date.power - (mixed * slope).sum(0)
    return left.clamp_min(1e-6 * date.power.max().clamp_min(1e-24)), slope.T


def _family(dates: Sequence[Sums], ratio: int, size: int) -> Tensor:
    """(K²,) the best Gaussian behind the best aperture."""

    def tried(aperture: float, width: float) -> float:
        return _loss(dates, blurred_square(aperture, width, size))

    found = []
    for share in _APERTURES:
        aperture = share * ratio
        losses = [tried(aperture, width * ratio) for width in _WIDTHS]
        best, step = _WIDTHS[losses.index(min(losses))] * ratio, 0.1 * ratio
        least = min(losses)
        for _ in range(6):
            for width in (best - step, best + step):
                if 0.05 * ratio < width < 2.0 * ratio and (loss := tried(aperture, width)) < least:
                    best, least = width, loss
            step /= 2
        found.append((least, aperture, best))
    _, aperture, width = min(found)
    return blurred_square(aperture, width, size)


def _freed(dates: Sequence[Sums], start: Tensor) -> Tensor:
    """(K²,) the free kernel; the load on its distance from the start is the noise over what it may be off."""
    kernel = start
    for _ in range(_ROUNDS):
        gram, rhs = torch.zeros(len(start), len(start)).to(start), torch.zeros_like(start)
        for date in dates:
            left, slope = _left(date, kernel)
            weight = date.count / _KIN / left
            gram = gram + torch.einsum("ab,abij->ij", (slope.T * weight) @ slope, date.gram)
            rhs = rhs + torch.einsum("pa,aip->i", slope * weight[:, None], date.cross)
        load = 1.0 / float(start.square().mean())
        kernel = nnls(gram + load * torch.eye(len(gram)).to(gram), rhs + load * start)
        kernel = kernel / kernel.sum().clamp_min(1e-12)
    return kernel
