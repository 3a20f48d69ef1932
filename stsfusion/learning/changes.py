"""Changes: coarse images at fine pixels, unmixed through the point spread function by a guide.

::

    y(t) = P x(t)        x(t) = offset + slope(t) · g + what the windows still find (guided kriging)

Every surface changes in its own way, and what a surface is shows in the guide: first one regression for the
scene, then, in windows, as far as pixels are alike. The regression is blurred as the sensor blurs; the noise
of the guide, which blurring hides from it, is put back by the load on its slopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.guidedkriging import Coarse, Kriging, Likeness
from stsfusion.learning.kept import Kept
from stsfusion.learning.unguided import Unguided, unguided
from stsfusion.operators.blur import Blur

__all__ = ["Changes", "Seen", "Unmixing", "through"]

_FEW = 12
"""Clear coarse pixels below which a date counts as unseen."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One sensor's series over one tile."""

    values: Tensor
    """(t, b, h, w); zero where not clear."""

    clear: Tensor
    """(t, h, w) bool."""

    kernels: Sequence[Tensor]
    """(ky, kx) of every date, on the fine grid."""

    ratio: int
    """Fine pixels along one side of a coarse one."""


@dataclass(frozen=True, eq=False)
class Changes(Kept):
    """What is learned of a series."""

    slope: Tensor
    """(t, q, b) of the guide's components."""

    offset: Tensor
    """(t, b)."""

    spread: Tensor
    """(t, b) standard deviation of what the regression leaves over."""

    noise: Tensor
    """(b,) λ: noise over the variance of what is left over."""

    width: Tensor
    """() of the likeness."""

    linear: Tensor
    """() of the likeness."""

    near: Tensor
    """() of the likeness, coarse pixels."""

    level: Tensor
    """() of the likeness."""

    @property
    def likeness(self) -> Likeness:
        """How alike two pixels are."""
        return Likeness(self.width, self.linear, self.near, self.level)

    @classmethod
    def learn(
        cls,
        tiles: Sequence[tuple[Tensor, Tensor, Seen]],
        noise: Tensor,
        likeness: Likeness,
        load: float,
        half: int,
    ) -> Self:
        """From tiles of (q, H, W) components, (q', H, W) looks and what the sensor saw.

        Parameters
        ----------
        noise
            (b,) standard deviation.
        likeness
            Of pixels; its level is learned here.
        load
            On the slopes, in variances of the guide's noise.
        half
            Of the windows.
        """
        slope, offset = _regressions(tiles, load)
        spread = _left_over(tiles, slope, offset)
        share = (noise / spread.square().mean(0).sqrt().clamp_min(1e-9)).square().clamp(1e-4, 1e2)
        level = likeness.coarse([(looks, seen.kernels[0], seen.ratio) for _, looks, seen in tiles], half)
        return cls(slope, offset, spread, share, likeness.width, likeness.linear, likeness.near, level)

    def plain(self, components: Tensor) -> Tensor:
        """(t, b, H, W) what the regressions say."""
        return torch.einsum("tqb,qyx->tbyx", self.slope, components) + self.offset[:, :, None, None]

    def __call__(self, components: Tensor, looks: Tensor, seen: Seen, half: int) -> tuple[Tensor, Tensor]:
        """(t, b, H, W) the series on the fine grid, and its (t, b, H, W) standard deviation."""
        return self.unmixing(components, looks, seen, half).rows(0, components.shape[1])

    def unmixing(
        self, components: Tensor, looks: Tensor, seen: Seen, half: int, without: Unguided | None = None
    ) -> Unmixing:
        """The same, ready for any rows; `without` tells of pixels of which the guide knows nothing."""
        left = self._left(components, seen)
        groups = [(dates, bands) for dates in _alike(seen) for bands in _grouped(self.noise)]
        parts = [self._part(left, seen, dates, bands) for dates, bands in groups]
        larger = None
        if without is not None:
            larger, share = self._larger(without), without.share(seen.ratio)
            alone = [(k, band) for k, (_, bands) in enumerate(groups) for band in bands]
            parts = [
                replace(
                    parts[k],
                    values=left[groups[k][0]][:, band],
                    larger=1.0 + (larger[groups[k][0], band].mean() - 1.0) * share,
                )
                for k, band in alone
            ]
            groups = [(groups[k][0], [band]) for k, band in alone]
        kriging = Kriging.of(looks, parts, self.likeness, seen.ratio, half, without)
        return Unmixing(self, components, groups, kriging, larger)

    def _larger(self, without: Unguided) -> Tensor:
        """(t, b) times by which what was seen varies more than what the regressions leave over of it."""
        told = torch.einsum("tqb,q->tb", self.slope.square(), without.components.to(self.slope))
        return 1.0 + told / self.spread.square().clamp_min(1e-18)

    def _left(self, components: Tensor, seen: Seen) -> Tensor:
        """(t, b, h, w) what the regressions leave over, in its own deviation, made one date at a time."""
        left = torch.empty_like(seen.values)
        for date, values in enumerate(seen.values):
            plain = (
                torch.einsum("qb,qyx->byx", self.slope[date], components) + self.offset[date][:, None, None]
            )
            said = through(plain[None], replace(seen, kernels=[seen.kernels[date]]))[0]
            left[date] = (values - said) / self.spread[date][:, None, None].clamp_min(1e-9)
        return left

    def _part(self, left: Tensor, seen: Seen, dates: list[int], bands: list[int]) -> Coarse:
        """Dates of one kernel and mask, bands of one share of noise."""
        noise = float(self.noise[bands].log().mean().exp())
        some = left[dates][:, bands].flatten(0, 1)
        return Coarse(some, seen.clear[dates[0]], seen.kernels[dates[0]], noise)


@dataclass(frozen=True, eq=False)
class Unmixing:
    """A tile's series on its way to the fine grid, which it may reach a few rows at a time."""

    changes: Changes
    """Of its dates."""

    components: Tensor
    """(q, H, W) of the guide."""

    groups: Sequence[tuple[list[int], list[int]]]
    """Dates and bands that are kriged together."""

    kriging: Kriging
    """One part for each group."""

    larger: Tensor | None = None
    """(t, b) times by which variance is larger where there is no guide; None: it is everywhere."""

    @property
    def looks(self) -> Tensor:
        """(q', H, W) of the guide."""
        return self.kriging.windows.guide

    def rows(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """(t, b, last − first, W) of fine rows, edges on coarse pixels, and their standard deviation."""
        values = self.changes.plain(self.components[:, first:last])
        deviation, ratio = torch.empty_like(values), self.kriging.windows.ratio
        where = unguided(self.components[:, first:last])
        found = self.kriging.rows(first // ratio, last // ratio)
        for (dates, bands), kriged in zip(self.groups, found, strict=True):
            fine = kriged.values.unflatten(0, (len(dates), len(bands)))
            for place, date in enumerate(dates):
                spread = self.changes.spread[date, bands][:, None, None]
                values[date, bands] += fine[place] * spread
                if self.larger is not None:
                    spread = spread * torch.where(where, self.larger[date, bands][:, None, None].sqrt(), 1.0)
                deviation[date, bands] = kriged.doubt.sqrt() * spread
        return values, deviation


def through(fine: Tensor, seen: Seen) -> Tensor:
    """(t, b, h, w) what the sensor makes of (t, b, H, W), each date by its own kernel."""
    out = []
    for image, kernel in zip(fine, seen.kernels, strict=True):
        band, rows, cols = image.shape
        out.append(Blur(kernel, seen.ratio, (1, band, rows, cols))(image[None])[0])
    return torch.stack(out)


def _alike(seen: Seen) -> list[list[int]]:
    """Dates of one kernel and one mask, together."""
    groups: list[list[int]] = []
    for date, kernel in enumerate(seen.kernels):
        for group in groups:
            first = group[0]
            if torch.equal(seen.clear[first], seen.clear[date]) and torch.equal(seen.kernels[first], kernel):
                group.append(date)
                break
        else:
            groups.append([date])
    return groups


def _grouped(noise: Tensor) -> list[list[int]]:
    """Bands of about the same share of noise, together: their equations are the same."""
    step = (noise.clamp_min(1e-9).log10() / 1.5).round().int().tolist()
    return [[band for band, own in enumerate(step) if own == each] for each in sorted(set(step))]


def _regressions(tiles: Sequence[tuple[Tensor, Tensor, Seen]], load: float) -> tuple[Tensor, Tensor]:
    """Slopes and offsets of every date, over all tiles."""
    dates = len(tiles[0][2].kernels)
    slopes, offsets = [], []
    for date in range(dates):
        first: Tensor | None = None
        for components, _, seen in tiles:
            inputs, outputs = _rows(components, seen, date)
            both = torch.cat([inputs, outputs, torch.ones_like(inputs[:1])]).double()
            first = both @ both.T if first is None else first + both @ both.T
        assert first is not None
        slope, offset = _solved(first, tiles[0][0].shape[0], load)
        slopes.append(slope)
        offsets.append(offset)
    enough = [sum(int(tile[2].clear[date].sum()) for tile in tiles) >= _FEW for date in range(dates)]
    return _bridged(torch.stack(slopes).float(), enough), _bridged(torch.stack(offsets).float(), enough)


def _bridged(values: Tensor, seen: Sequence[bool]) -> Tensor:
    """Dates (first axis) of which next to nothing was seen get what lies between those about them."""
    known = [date for date, own in enumerate(seen) if own]
    if not known or all(seen):
        return values
    out = values.clone()
    for date in (date for date, own in enumerate(seen) if not own):
        before = [other for other in known if other < date][-1:]
        after = [other for other in known if other > date][:1]
        out[date] = values[before + after].mean(0)
    return out


def _rows(components: Tensor, seen: Seen, date: int) -> tuple[Tensor, Tensor]:
    """(q, n) blurred components and (b, n) values of the clear coarse pixels."""
    count, rows, cols = components.shape
    low = Blur(seen.kernels[date], seen.ratio, (1, count, rows, cols))(components[None])[0]
    clear = seen.clear[date]
    return low[:, clear], seen.values[date][:, clear]


def _solved(moments: Tensor, inputs: int, load: float) -> tuple[Tensor, Tensor]:
    """Slope and offset from the sums of products of inputs, outputs and one."""
    count = moments[-1, -1].clamp_min(1.0)
    mean = moments[-1, :-1] / count
    centred = moments[:-1, :-1] / count - torch.outer(mean, mean)
    square = centred[:inputs, :inputs] + load * torch.eye(inputs).to(centred)
    slope = torch.linalg.solve(square, centred[:inputs, inputs:])
    return slope, mean[inputs:] - mean[:inputs] @ slope


def _left_over(tiles: Sequence[tuple[Tensor, Tensor, Seen]], slope: Tensor, offset: Tensor) -> Tensor:
    """(t, b) root mean square of what the regressions leave of the coarse values."""
    total, count = torch.zeros_like(offset), torch.zeros_like(offset[:, :1])
    for components, _, seen in tiles:
        plain = torch.einsum("tqb,qyx->tbyx", slope, components) + offset[:, :, None, None]
        left = (seen.values - through(plain, seen)) * seen.clear[:, None]
        total += left.square().sum((2, 3))
        count += seen.clear.sum((1, 2)).to(total)[:, None]
    own = (total / count.clamp_min(1.0)).sqrt()
    typical = own.square().mean(0).sqrt()
    return torch.where(count > 0, torch.maximum(own, 0.1 * typical), typical)
