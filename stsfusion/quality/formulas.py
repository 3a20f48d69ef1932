"""Formulas of the metrics: a Pair of a few bands in float64 gives one number a band, NaN where it cannot.

Those of whole spectra take a date and return one number, None where nothing can be said.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stsfusion.quality.metric import Pair, by_band

__all__ = ["RESOLUTION", "cc", "ergas", "mrae", "psnr", "rmse", "sam", "ssim", "uiqi"]

RESOLUTION = 2.0**-24
"""Relative resolution of float32, in which answers are kept: smaller differences do not exist."""


Taps = tuple[float, ...]
"""Weights of a window along one axis."""


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """(band,) mean over the pixels of the mask; NaN where it is empty."""
    return x.where(mask, 0).flatten(1).sum(1) / mask.flatten(1).sum(1)


def _range(pair: Pair) -> tuple[Tensor, Tensor]:
    """(band,) smallest and largest true value; an empty band gives +inf and −inf."""
    low = pair.truth.where(pair.mask, math.inf).flatten(1).amin(1)
    return low, pair.truth.where(pair.mask, -math.inf).flatten(1).amax(1)


def _mse(pair: Pair) -> Tensor:
    return _mean((pair.image - pair.truth) ** 2, pair.mask)


def rmse(pair: Pair) -> Tensor:
    """sqrt(mean_p (x − t)²)."""
    return _mse(pair).sqrt()


def mrae(pair: Pair) -> Tensor:
    """mean_p |x − t| / |t| over pixels with t ≠ 0."""
    known = pair.mask & (pair.truth != 0)
    return _mean((pair.image - pair.truth).abs() / pair.truth.abs().where(known, 1), known)


def psnr(pair: Pair) -> Tensor:
    """10 log10(peak² / MSE) with peak = max_p t; MSE at least (peak · 2⁻²⁴)²."""
    peak = _range(pair)[1]
    peak = peak.where(peak > 0, math.nan)
    return 20 * torch.log10(peak / _mse(pair).sqrt().maximum(peak * RESOLUTION))


def cc(pair: Pair) -> Tensor:
    """cov(x, t) / (sd(x) sd(t)); 0 for a constant answer, NaN for a constant truth."""
    x, t = ((v - _mean(v, pair.mask)[:, None, None]).where(pair.mask, 0) for v in (pair.image, pair.truth))
    flat = [
        _spread(v, pair.mask) <= RESOLUTION * v.abs().flatten(1).amax(1) for v in (pair.image, pair.truth)
    ]
    dot, xx, tt = ((a * b).flatten(1).sum(1) for a, b in ((x, t), (x, x), (t, t)))
    return (dot / (xx * tt).sqrt()).clamp(-1, 1).where(~flat[0], 0.0).where(~flat[1], math.nan)


def _spread(x: Tensor, mask: Tensor) -> Tensor:
    """(band,) largest minus smallest value."""
    high, low = x.where(mask, -math.inf).flatten(1).amax(1), x.where(mask, math.inf).flatten(1).amin(1)
    return high - low


def _relative(pair: Pair) -> Tensor:
    """MSE_b / mean_b², the summand of ERGAS; NaN where the truth's mean is zero."""
    mean = _mean(pair.truth, pair.mask)
    scale = pair.truth.abs().flatten(1).amax(1)
    return _mse(pair) / mean.where(mean.abs() > RESOLUTION * scale, math.nan) ** 2


def ergas(date: Pair) -> float | None:
    """100 / r · sqrt(mean_b (MSE_b / mean_b²))."""
    mean = by_band(_relative)(date)
    return None if mean is None else 100.0 / date.ratio * math.sqrt(mean)


def sam(date: Pair) -> float | None:
    """mean_p angle(x_p, t_p) = 2 atan2(|u − v|, |u + v|) of the unit spectra u, v: exact for small angles."""
    norms = [_squares(date, which).sqrt() for which in ("image", "truth")]
    seen = norms[1] > 0
    if not bool(seen.any()):
        return None
    apart = together = torch.zeros_like(norms[0])
    for part in date.parts():
        u, v = (x / n.where(n > 0, 1) for x, n in zip((part.image, part.truth), norms, strict=True))
        apart, together = apart + ((u - v) ** 2).sum(0), together + ((u + v) ** 2).sum(0)
    angles = 2 * torch.atan2(apart.sqrt(), together.sqrt())
    return math.degrees(angles[seen].mean().item())


def _squares(date: Pair, which: str) -> Tensor:
    """(y, x) sum over bands of the squares."""
    rows, cols = date.truth.shape[1:]
    total = torch.zeros(rows, cols, dtype=torch.float64, device=date.truth.device)
    for part in date.parts():
        total += (getattr(part, which) ** 2).sum(0)
    return total


def _slide(x: Tensor, taps: Taps) -> Tensor:
    """(band, y − n + 1, x − n + 1) weighted means of all n × n windows; n taps on either axis."""
    for axis in (1, 2):
        size = x.shape[axis] - len(taps) + 1
        first, *others = ((x.narrow(axis, i, size), w) for i, w in enumerate(taps))
        x = first[0] * first[1]
        for shifted, weight in others:
            x.add_(shifted, alpha=weight)
    return x


def _moments(pair: Pair, taps: Taps) -> tuple[Tensor, ...]:
    """Windows' means, variances and covariance: (mean x, mean t, var x, var t, cov), each (band, y', x')."""
    x, t = pair.image, pair.truth
    mx, mt = _slide(x, taps), _slide(t, taps)
    return mx, mt, _slide(x * x, taps) - mx**2, _slide(t * t, taps) - mt**2, _slide(x * t, taps) - mx * mt


def _full(pair: Pair, size: int) -> Tensor:
    """(band, y', x') bool: windows without a gap."""
    return functional.max_pool2d((~pair.mask).to(pair.truth), size, stride=1) == 0


def _fits(pair: Pair, size: int) -> bool:
    return min(pair.truth.shape[1:]) >= size


def ssim(pair: Pair) -> Tensor:
    """(2 µx µt + C1)(2 σxt + C2) / ((µx² + µt² + C1)(σx² + σt² + C2)), mean over windows.

    C1 = (0.01 L)², C2 = (0.03 L)², L = max − min of the truth.
    """
    if not _fits(pair, len(_GAUSS)):
        return pair.truth.new_full((len(pair.truth),), math.nan)
    low, high = _range(pair)
    span = (high - low).where(high - low > RESOLUTION * pair.truth.abs().flatten(1).amax(1), math.nan)
    c1, c2 = (0.01 * span[:, None, None]) ** 2, (0.03 * span[:, None, None]) ** 2
    mx, mt, vx, vt, cov = _moments(pair, _GAUSS)
    index = (2 * mx * mt + c1) * (2 * cov + c2) / ((mx**2 + mt**2 + c1) * (vx + vt + c2))
    return _mean(index, _full(pair, len(_GAUSS)))


def uiqi(pair: Pair) -> Tensor:
    """4 σxt µx µt / ((σx² + σt²)(µx² + µt²)); 2 µx µt / (µx² + µt²) where both are constant."""
    if not _fits(pair, len(_BOX)):
        return pair.truth.new_full((len(pair.truth),), math.nan)
    mx, mt, vx, vt, cov = _moments(pair, _BOX)
    power, spread = mx**2 + mt**2, vx + vt
    # In windows without contrast the differences of large squares above leave rounding only.
    flat = spread <= 1e-13 * power
    light = 2 * mx * mt / power.where(power > 0, 1)
    index = light.where(flat, light * 2 * cov / spread.where(~flat, 1))
    return _mean(index, _full(pair, len(_BOX)) & (power > 0))


def _gauss(size: int, sigma: float) -> Taps:
    """Gaussian weights that sum to one."""
    weights = [math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma**2)) for i in range(size)]
    return tuple(weight / sum(weights) for weight in weights)


_GAUSS = _gauss(11, 1.5)
_BOX = (1 / 8,) * 8
