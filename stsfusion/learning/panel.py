"""Panel: scores of every date from the multispectral bands of that date, and what a pixel keeps of its own.

::

    a(s, t) = F(m(s, t)) + e(s, t)      cov(e(t), e(t')) = exp(−|t − t'| / τ) exp(−½ ‖Δm‖² / v²) + λ [t = t']

F is learned where both were seen; e is known at the dates of the hyperspectral sensor, and is carried to the
others pixel by pixel, the better the nearer they are in time and in their bands.

Source: regression with random effects, Laird and Ware (1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.lloyd import settled
from stsfusion.learning.subspace import signed
from stsfusion.operators.blur import Blur

__all__ = ["Bent", "Carried", "Lesson", "Panel", "carry"]

_AXES = 4
"""Leading components of which products are taken, and in which centres lie."""

_ROUNDS = 8
"""Of the search for centres."""


@dataclass(frozen=True, eq=False)
class Bent(Kept):
    """Bands to features that bend: components, their products, and nearness to typical spectra.

    Beyond what was learned from, products go on straight, as tangents, where several dates taught, so that
    what changes from one to another was seen. Of one date they stay as they are at the edge: whether slopes
    there hold on another was never shown. Squares would soon outgrow everything that was seen.
    """

    mean: Tensor
    """(b,) of the bands."""

    axes: Tensor
    """(b, n) to components of unit variance."""

    centres: Tensor
    """(m, q) typical spectra in the leading components."""

    bounds: Tensor
    """(2, q) least and largest leading components that were learned from."""

    onward: Tensor
    """() one where products go on beyond these, zero where they stay."""

    load: Tensor
    """(features,) of the ridge."""

    @classmethod
    def learn(
        cls, bands: Tensor, noise: Tensor, centres: int, load: float, seed: int, *, dates: int = 1
    ) -> Self:
        """From (b, n) pixels of so many dates and the (b,) standard deviation of their errors."""
        x = bands.double()
        mean = x.mean(1)
        covariance = (x - mean[:, None]) @ (x - mean[:, None]).T / x.shape[1]
        values, vectors = torch.linalg.eigh(covariance)
        vectors = signed(vectors.flip(1))
        ground = noise.double().square() @ vectors.square()
        level = torch.maximum(values.flip(0), 1e-3 * ground).clamp_min(1e-18)
        axes = vectors / level.sqrt()
        leading = (axes.T @ (x - mean[:, None]))[:_AXES]
        typical = _typical(leading.T.float(), centres, seed)
        bounds = torch.stack([leading.amin(1), leading.amax(1)])
        products = min(_AXES, len(mean)) * (min(_AXES, len(mean)) + 1) // 2
        loads = [ground / level, torch.full((products + len(typical),), load).to(level)]
        onward = torch.tensor(float(dates > 1))
        return cls(mean.float(), axes.float(), typical, bounds.float(), onward, torch.cat(loads).float())

    def components(self, bands: Tensor) -> Tensor:
        """(n, H, W) of (b, H, W)."""
        return torch.einsum("bn,byx->nyx", self.axes, bands - self.mean[:, None, None])

    def __call__(self, bands: Tensor) -> Tensor:
        """(features, H, W) of (b, H, W)."""
        lead = self.components(bands)
        own = lead[:_AXES]
        held = own.clamp(self.bounds[0][:, None, None], self.bounds[1][:, None, None])
        i, j = torch.triu_indices(len(own), len(own), device=own.device)
        over = self.onward * (own - held)
        bent = held[i] * held[j] + held[i] * over[j] + held[j] * over[i]
        near = torch.cdist(own.flatten(1).T, self.centres).square_().mul_(-0.5).exp_()
        return torch.cat([lead, bent, near.T.unflatten(1, tuple(own.shape[1:]))])


@dataclass(frozen=True, eq=False)
class Lesson:
    """One tile at one date that both sensors saw."""

    bands: Tensor
    """(b, H, W) multispectral, on the fine grid."""

    scores: Tensor
    """(p, h, w) hyperspectral, on the coarse grid."""

    clear: Tensor
    """(h, w) bool."""

    kernel: Tensor
    """(ky, kx) of the hyperspectral sensor."""

    ratio: int
    """Fine pixels along one side of a coarse one."""


@dataclass(frozen=True, eq=False)
class Panel(Kept):
    """F."""

    slope: Tensor
    """(features, p)."""

    offset: Tensor
    """(p,)."""

    @classmethod
    def learn(cls, lessons: Sequence[Lesson], bent: Bent) -> Self:
        """Ridge regression through the point spread function: features bend first, then they are blurred."""
        moments: Tensor | None = None
        for lesson in lessons:
            features = bent(lesson.bands)
            count, rows, cols = features.shape
            low = Blur(lesson.kernel, lesson.ratio, (1, count, rows, cols))(features[None])[0]
            both = torch.cat([low[:, lesson.clear], lesson.scores[:, lesson.clear]]).double()
            both = torch.cat([both, torch.ones_like(both[:1])])
            moments = both @ both.T if moments is None else moments + both @ both.T
        assert moments is not None
        n = len(bent.load)
        total = moments[-1, -1].clamp_min(1.0)
        mean = moments[-1, :-1] / total
        centred = moments[:-1, :-1] / total - torch.outer(mean, mean)
        square = centred[:n, :n] + torch.diag(bent.load.double().clamp_min(1e-9))
        slope = torch.linalg.solve(square, centred[:n, n:])
        return cls(slope.float(), (mean[n:] - mean[:n] @ slope).float())

    def __call__(self, features: Tensor) -> Tensor:
        """(p, H, W) of (features, H, W)."""
        return torch.einsum("fp,fyx->pyx", self.slope, features) + self.offset[:, None, None]


@dataclass(frozen=True, eq=False)
class Carried(Kept):
    """How far what a pixel keeps reaches."""

    days: Tensor
    """() τ."""

    bands: Tensor
    """() v, in components of unit variance."""

    passing: Tensor
    """() λ: what does not last, over what does."""

    lasting: Tensor
    """(p,) standard deviation of e."""

    usual: Tensor
    """() variance that is left at dates that were hidden, in that of e."""


def carry(
    kept: Tensor, doubt: Tensor, seen: tuple[Tensor, Tensor], asked: tuple[Tensor, Tensor], how: Carried
) -> tuple[Tensor, Tensor]:
    """What pixels keep, at another date.

    Parameters
    ----------
    kept
        (n, p, H, W) e at the dates that were seen.
    doubt
        (n, H, W) variance of its error, in that of what lasts.
    seen
        (n,) days and (n, q, H, W) components of the bands.
    asked
        () day and (q, H, W) components.

    Returns
    -------
    tuple of Tensor
        (p, H, W) e, and its (H, W) variance.
    """
    (days, bands), (day, own) = seen, asked
    days, day = days.to(kept.device), day.to(kept.device)
    between = torch.stack([(bands - each).square().sum(1) for each in bands])
    lasting = torch.exp(-(days[:, None] - days[None]).abs() / how.days)
    own_noise = torch.eye(len(days), device=kept.device) * how.passing
    system = lasting[:, :, None, None] * torch.exp(-0.5 * between / how.bands.square())
    system = system + own_noise[:, :, None, None] + torch.diag_embed(doubt.movedim(0, -1)).permute(2, 3, 0, 1)
    apart = torch.exp(-0.5 * (bands - own).square().sum(1) / how.bands.square())
    mixed = torch.exp(-(days - day).abs() / how.days)[:, None, None] * apart
    mixed = mixed + ((days - day).abs() < 0.5).float()[:, None, None] * how.passing
    weights = torch.linalg.solve(system.permute(2, 3, 0, 1), mixed.permute(1, 2, 0)[..., None])[..., 0]
    left = 1.0 + how.passing - (weights * mixed.permute(1, 2, 0)).sum(2)
    return torch.einsum("yxn,npyx->pyx", weights, kept), left.clamp_min(0.0)


def _typical(points: Tensor, count: int, seed: int) -> Tensor:
    """(count, q) centres of (n, q) points by k-means."""
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(points), generator=generator)[: max(4000, count)].to(points.device)
    points = points[some]
    return settled(points, points[: min(count, len(points))], _ROUNDS)
