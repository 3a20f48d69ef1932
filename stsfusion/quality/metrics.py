"""The metrics of every table. A module-level Metric is a registered one: its presence is all it takes.

The formulas below take a Pair of a few bands in float64 and return one number a band, NaN where nothing can
be said; the averages are taken in `metric`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stsfusion.errors import ProblemError, nearest
from stsfusion.quality.metric import Metric, Pair, by_band

__all__ = ["CC", "ERGAS", "MRAE", "PSNR", "RMSE", "SAM", "SSIM", "UIQI", "choose", "metrics"]

_RESOLUTION = 2.0**-24
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


def _rmse(pair: Pair) -> Tensor:
    """sqrt(mean_p (x − t)²)."""
    return _mse(pair).sqrt()


def _mrae(pair: Pair) -> Tensor:
    """mean_p |x − t| / |t| over pixels with t ≠ 0."""
    known = pair.mask & (pair.truth != 0)
    return _mean((pair.image - pair.truth).abs() / pair.truth.abs().where(known, 1), known)


def _psnr(pair: Pair) -> Tensor:
    """10 log10(peak² / MSE) with peak = max_p t; MSE at least (peak · 2⁻²⁴)²."""
    peak = _range(pair)[1]
    peak = peak.where(peak > 0, math.nan)
    return 20 * torch.log10(peak / _mse(pair).sqrt().maximum(peak * _RESOLUTION))


def _cc(pair: Pair) -> Tensor:
    """cov(x, t) / (sd(x) sd(t)); 0 for a constant answer, NaN for a constant truth."""
    x, t = ((v - _mean(v, pair.mask)[:, None, None]).where(pair.mask, 0) for v in (pair.image, pair.truth))
    flat = [
        _spread(v, pair.mask) <= _RESOLUTION * v.abs().flatten(1).amax(1) for v in (pair.image, pair.truth)
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
    return _mse(pair) / mean.where(mean.abs() > _RESOLUTION * scale, math.nan) ** 2


def _ergas(date: Pair) -> float | None:
    """100 / r · sqrt(mean_b (MSE_b / mean_b²))."""
    mean = by_band(_relative)(date)
    return None if mean is None else 100.0 / date.ratio * math.sqrt(mean)


def _sam(date: Pair) -> float | None:
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


def _ssim(pair: Pair) -> Tensor:
    """(2 µx µt + C1)(2 σxt + C2) / ((µx² + µt² + C1)(σx² + σt² + C2)), mean over windows.

    C1 = (0.01 L)², C2 = (0.03 L)², L = max − min of the truth.
    """
    if not _fits(pair, len(_GAUSS)):
        return pair.truth.new_full((len(pair.truth),), math.nan)
    low, high = _range(pair)
    span = (high - low).where(high - low > _RESOLUTION * pair.truth.abs().flatten(1).amax(1), math.nan)
    c1, c2 = (0.01 * span[:, None, None]) ** 2, (0.03 * span[:, None, None]) ** 2
    mx, mt, vx, vt, cov = _moments(pair, _GAUSS)
    index = (2 * mx * mt + c1) * (2 * cov + c2) / ((mx**2 + mt**2 + c1) * (vx + vt + c2))
    return _mean(index, _full(pair, len(_GAUSS)))


def _uiqi(pair: Pair) -> Tensor:
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

CC = Metric(
    name="cc",
    title="correlation coefficient",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="Pearson's, per band and date, mean over bands, then dates; 0 where the answer alone is "
    "constant; bands with constant truth are left out.",
    source="Pearson (1895), doi:10.1098/rspl.1895.0041",
    formula=by_band(_cc),
)

SAM = Metric(
    name="sam",
    title="spectral angle",
    unit="degree",
    ideal=0.0,
    direction="lower",
    convention="Angle of the whole spectrum, mean over pixels, then dates; pixels with a zero true spectrum "
    "are left out; a zero answer to a true spectrum counts 90 degrees.",
    source="Kruse et al. (1993), doi:10.1016/0034-4257(93)90013-N",
    formula=_sam,
)

PSNR = Metric(
    name="psnr",
    title="peak signal-to-noise ratio",
    unit="dB",
    ideal=-20 * math.log10(_RESOLUTION),
    direction="higher",
    convention="Peak is the truth's maximum of that band and date; mean over bands, then dates; held at "
    "144.5 dB, the resolution of float32; bands whose peak is not above zero are left out.",
    source="Yokoya et al. (2017), doi:10.1109/MGRS.2016.2637824",
    formula=by_band(_psnr),
)

SSIM = Metric(
    name="ssim",
    title="structural similarity",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="Gaussian of 11 × 11 pixels and sigma 1.5 on windows that lie wholly in the image and hold no "
    "gap, range = max − min of the truth of that band and date; mean over windows, bands, then dates; bands "
    "with constant truth and images below 11 pixels are left out.",
    source="Wang et al. (2004), doi:10.1109/TIP.2003.819861",
    formula=by_band(_ssim),
)

RMSE = Metric(
    name="rmse",
    title="root mean square error",
    unit="reflectance",
    ideal=0.0,
    direction="lower",
    convention="Per band and date, mean over bands, then dates.",
    source="Yokoya et al. (2017), doi:10.1109/MGRS.2016.2637824",
    formula=by_band(_rmse),
)

ERGAS = Metric(
    name="ergas",
    title="relative global error in synthesis",
    unit="1",
    ideal=0.0,
    direction="lower",
    convention="100 / ratio (not 100 · ratio) times the root of the mean over bands of MSE over the truth's "
    "mean squared; mean over dates; bands with zero mean are left out.",
    source="Wald (2000), 'Quality of high resolution synthesised images: is there a simple criterion?'",
    formula=_ergas,
)

UIQI = Metric(
    name="uiqi",
    title="universal image quality index",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="All windows of 8 × 8 pixels without a gap, mean over windows, bands, then dates; windows in "
    "which answer and truth are constant compare the means alone, windows of zeros are left out.",
    source="Wang & Bovik (2002), doi:10.1109/97.995823",
    formula=by_band(_uiqi),
)

MRAE = Metric(
    name="mrae",
    title="mean relative absolute error",
    unit="1",
    ideal=0.0,
    direction="lower",
    convention="Per band and date over pixels whose truth is not zero, mean over bands, then dates.",
    source="Arad et al. (2022), NTIRE spectral recovery challenge",
    formula=by_band(_mrae),
)


def metrics() -> dict[str, Metric]:
    """Every metric of this module by name, in the order in which they stand."""
    return {thing.name: thing for thing in globals().values() if isinstance(thing, Metric)}


def choose(names: list[str] | tuple[str, ...] | None = None) -> dict[str, Metric]:
    """The metrics of these names in this order, or all.

    Raises
    ------
    ProblemError
        When there is no metric of such a name.
    """
    known = metrics()
    for name in names or ():
        if name not in known:
            raise ProblemError(f"metric '{name}'", expected="a metric's name", mend=nearest(name, known))
    return known if names is None else {name: known[name] for name in names}
