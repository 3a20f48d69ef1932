"""Kriging: what a fit leaves over on the coarse grid, brought to the fine one as its correlation deserves.

::

    e = a smooth field, correlation exp(−d / ℓ), + a white one        error of the fit, on the fine grid
    r = k * e + noise                                                 what is left over on the coarse grid
    ê(s) = cov(e(s), r) cov(r, r)⁻¹ r                                 from a window about the coarse pixel

Fields of several correlation lengths and shares of the white one are tried; each has a say as large as it is
likely, given the windows, channel by channel. How much is noise must be known. A smooth error comes back as
it is interpolated, a white one only where the point spread function looked, noise not at all. A coarse image
hardly tells a white field from a short one: the likeliest alone would often have it too white.

Source: Matheron (1963); change of support as in Kyriakidis (2004), eqs. 5 to 9; Bayesian kriging as in
Handcock and Stein (1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from stsfusion.learning.kept import Kept
from stsfusion.operators.pairmodel import PairModel

__all__ = ["HALF", "Field", "Kriging"]

HALF = 2
"""Coarse pixels that a window extends on every side."""

_LENGTHS = (0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 6.0, 12.0)
"""Correlation lengths of the smooth field that are tried, in coarse pixels."""

_WHITE = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)
"""Shares of the white field in the residual's variance, noise apart, that are tried."""

_POINT = 0.05
"""Correlation length of the white field, fine pixels: shorter than their distance."""

_CHANNELS = 16
"""Channels whose windows are held at once."""

_JITTER = 1e-4
"""Share of the variance that is added to keep the covariance invertible."""


_LEAST = 0.02
"""Least share of an error's variance that a coarse pixel shows, or that kriging leaves."""


@dataclass(frozen=True, eq=False)
class Kriging(Kept):
    """Weights of the coarse window for every place in a coarse pixel, channel by channel."""

    weights: Tensor
    """(p, r², n) n = (2·HALF + 1)² residuals to the r² fine pixels of the middle one."""

    told: Tensor
    """(p, r²) share of the fine error's variance that the residuals tell."""

    shrunk: Tensor
    """(p,) variance of k * e over that of e: how much of an error a coarse pixel's average hides."""

    @classmethod
    def learn(
        cls, residuals: Sequence[Tensor], clear: Sequence[Tensor], noise: Tensor, fields: Sequence[Field]
    ) -> Self:
        """The mean of all fields, each as likely as it is, for every channel.

        Parameters
        ----------
        residuals, clear
            Tiles (p, h, w), and the (h, w) masks of the pixels to count.
        noise
            (p,) variance of the noise in the residuals.
        fields
            The ones that are tried, as the sensor sees them; see `Field.tried`.
        """
        sample, level, pixels = _window_covariance(residuals, clear)
        share = (noise.cpu().double() / level).clamp(0.0, 0.99)
        # Windows overlap: together they say no more than as many side by side as their pixels make up.
        unlikely = torch.stack([field.unlikely(sample, share) for field in fields])
        belief = torch.softmax(-0.5 * pixels / sample.shape[1] * unlikely, 0)
        mean: list[Tensor] = []
        # One field at a time: with many channels and a large ratio each one's weights are large.
        for field, say in zip(fields, belief, strict=True):
            parts = [part * say.reshape(-1, *(1,) * (part.ndim - 1)) for part in field.weights(share)]
            mean = [one + more for one, more in zip(mean, parts, strict=True)] if mean else parts
        return cls(*(part.float().to(residuals[0].device) for part in mean))

    def __call__(self, residual: Tensor, ratio: int) -> Tensor:
        """(p, h, w) to (p, H, W); edges are repeated."""
        channels, rows, cols = residual.shape
        side = 2 * HALF + 1
        wide = pad(residual[None], (HALF,) * 4, mode="replicate")
        kernel = self.weights.to(residual).reshape(channels * ratio**2, 1, side, side)
        fine = conv2d(wide, kernel, groups=channels)[0]
        return torch.pixel_shuffle(fine, ratio).reshape(channels, rows * ratio, cols * ratio)

    def growth(self, left: Tensor, fitted: Tensor) -> Tensor:
        """(p,) mean squared error at fine pixels over that of left-out coarse ones, when the field holds.

        An error that was left out is seen again by the fit that is not without its pixel, and by kriging:
        what the coarse pixels tell of it, on the mean of the fields, is gone. The fit's own step towards its
        pixel is right in the mean alone; it counts as an error in all its detail.

        Parameters
        ----------
        left, fitted
            (p,) mean squares of left-out errors and of the residuals that are kriged.
        """
        step = 1.0 - (fitted / left.clamp_min(1e-300)).clamp_max(1.0).sqrt()
        rest = 1.0 - self.told.to(left).mean(1) + step.square()
        return rest.clamp(_LEAST, 1.0) / self.shrunk.to(left).clamp_min(_LEAST)


@dataclass(frozen=True, eq=False)
class Field:
    """A random field of variance one on the fine grid, and what the window's coarse pixels see of it."""

    coarse: Tensor
    """(n, n) covariance of k * e between the window's pixels."""

    mixed: Tensor
    """(r², n) covariance of e inside the middle pixel with k * e."""

    @classmethod
    def tried(cls, model: PairModel) -> list[Self]:
        """All that are tried: smooth ones of several lengths, each with several shares of a white one."""
        white = cls.of(_POINT, model)
        smooth = [cls.of(length * model.ratio, model) for length in _LENGTHS]
        return [field.mixed_with(white, part) for field in smooth for part in _WHITE]

    @classmethod
    def of(cls, length: float, model: PairModel) -> Self:
        """Correlate one footprint with those about it, and with the pixels of the middle one."""
        kernel, ratio = model.kernel.double().cpu(), model.ratio
        size, side = kernel.shape[0], 2 * HALF + 1
        far = (side - 1) * ratio
        smeared = _correlated(pad(kernel, (far,) * 4), length)
        shared = conv2d(smeared[None, None], kernel[None, None], stride=ratio)[0, 0]
        steps = torch.arange(side)
        y, x = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing="ij"))
        coarse = shared[y[:, None] - y + side - 1, x[:, None] - x + side - 1]
        inside = torch.arange(ratio) + far + (size - ratio) // 2
        rows, cols = (inside[:, None] - (axis - HALF) * ratio for axis in (y, x))
        return cls(coarse, smeared[rows[:, None], cols[None]].flatten(0, 1))

    @property
    def shrunk(self) -> Tensor:
        """() variance of k * e."""
        return self.coarse.diagonal().mean().clamp_min(1e-12)

    def mixed_with(self, other: Self, share: float) -> Self:
        """The sum of two fields in which the other has this share of the variance of k * e; variance one."""
        own, more = (1.0 - share) / self.shrunk, share / other.shrunk
        total = own + more
        return type(self)(
            (own * self.coarse + more * other.coarse) / total, (own * self.mixed + more * other.mixed) / total
        )

    def unlikely(self, samples: Tensor, noise: Tensor) -> Tensor:
        """(p,) twice the negative log-likelihood of (p, n, n) covariances of windows, scales profiled out.

        Constants are left out; `noise` is its (p,) share of the variance.
        """
        _, vectors = self._axes
        own, seen = (samples @ vectors * vectors).sum(1), self._seen(noise)
        scale = (own / seen).mean(1)
        return seen.log().sum(1) + seen.shape[1] * scale.clamp_min(1e-300).log()

    def weights(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, told share and shrinkage for `Kriging`, of (p,) shares of noise."""
        _, vectors = self._axes
        mixed = (1.0 - noise)[:, None, None] * self.mixed / self.shrunk
        weights = (mixed @ vectors / self._seen(noise)[:, None]) @ vectors.T
        told = (weights * self.mixed).sum(2).clamp(0.0, 1.0)
        return weights, told, self.shrunk.expand(len(noise))

    @cached_property
    def _axes(self) -> tuple[Tensor, Tensor]:
        """(n,) variances and (n, n) directions of what the window sees of the field, of variance one."""
        values, vectors = torch.linalg.eigh(self.coarse / self.shrunk)
        return values, vectors

    def _seen(self, noise: Tensor) -> Tensor:
        """(p, n) variances of the residuals in these directions: the field's and the noise's."""
        return (1.0 - noise)[:, None] * self._axes[0] + noise[:, None] + _JITTER


def _correlated(image: Tensor, length: float) -> Tensor:
    """Σ_s' exp(−|s − s'| / ℓ) · image(s'), exactly, by a convolution over all distances."""
    span = len(image)
    steps = torch.arange(1 - span, span, dtype=torch.float64)
    field = torch.exp(-torch.hypot(steps[:, None], steps[None]) / length)
    size = (3 * span - 1,) * 2
    out = torch.fft.irfft2(torch.fft.rfft2(image, s=size) * torch.fft.rfft2(field, s=size), s=size)
    return out[span - 1 : 2 * span - 1, span - 1 : 2 * span - 1]


def _window_covariance(residuals: Sequence[Tensor], clear: Sequence[Tensor]) -> tuple[Tensor, Tensor, int]:
    """(p, n, n) mean product of residuals of clear windows, scaled to one, (p,) the scale, pixels there."""
    side = 2 * HALF + 1
    total: Tensor | None = None
    count = pixels = 0
    for residual, mask in zip(residuals, clear, strict=True):
        if min(mask.shape) < side:
            continue
        whole = mask.unfold(0, side, 1).unfold(1, side, 1).flatten(2).all(2)
        # A few channels at a time: each has as many copies as a window has pixels.
        found = [_products(part, whole) for part in residual.split(_CHANNELS)]
        total = (0 if total is None else total) + torch.cat(found)
        count += int(whole.sum())
        pixels += int(mask.sum()) if bool(whole.any()) else 0
    if total is None or count == 0:
        level = torch.stack([r.double().square().mean((1, 2)) for r in residuals]).mean(0).cpu()
        eye = torch.eye(side * side, dtype=torch.float64)
        return eye.expand(len(level), -1, -1), level.clamp_min(1e-300), 0
    level = (total / count).diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-300)
    return (total / count / level[:, None, None]).cpu(), level.cpu(), pixels


def _products(residual: Tensor, whole: Tensor) -> Tensor:
    """(p, n, n) summed products of the windows of (p, h, w) whose corners are at the (y, x) places."""
    side = 2 * HALF + 1
    rows = residual.unfold(1, side, 1).unfold(2, side, 1)[:, whole].flatten(2).double()
    return rows.transpose(1, 2) @ rows
