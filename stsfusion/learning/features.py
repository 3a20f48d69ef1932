"""Features: everything that was observed, at every date and pixel of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import date_weights, resample
from stsfusion.learning.detail import Detail, lowpass
from stsfusion.learning.subspace import Subspace, signed
from stsfusion.learning.timeline import CODES, Timeline, on_dates
from stsfusion.operators.resample import blocks, upsample

__all__ = ["Layout", "Scaling", "Scene", "features", "mixed", "products"]


@dataclass(frozen=True)
class Layout:
    """Which channels of the features are what; all values have about zero mean and unit variance.

    ::

        scores | dense | dense between | dense between, low | sharp | codes
          K        d            d                 d             s     3 + 3
    """

    rank: int
    """K hyperspectral scores, linear in days between their dates, upsampled."""

    dense: int
    """d dense bands: at the date itself; between the hyperspectral dates, as the scores are; and that as
    coarse as the scores."""

    sharp: int
    """s sharp bands, linear in days between their dates."""

    axes: int
    """q leading principal components of the dense bands, of which all products are taken: spectra do not mix
    in proportion to a few broad bands alone."""

    @property
    def products(self) -> int:
        """Channels of products."""
        return self.axes * (self.axes + 1) // 2

    @property
    def linear(self) -> int:
        """Channels before the products."""
        return self.rank + 3 * self.dense + self.sharp

    @property
    def values(self) -> int:
        """Channels before the codes."""
        return self.rank + 3 * self.dense + self.sharp + self.products

    @property
    def channels(self) -> int:
        """All of them."""
        return self.values + 2 * CODES

    def part(self, name: str) -> slice:
        """The channels called scores, now, between, low, sharp, products or codes."""
        sizes = (self.rank, self.dense, self.dense, self.dense, self.sharp, self.products, 2 * CODES)
        names = ("scores", "now", "between", "low", "sharp", "products", "codes")
        place = names.index(name)
        start = sum(sizes[:place])
        return slice(start, start + sizes[place])

    @property
    def seen(self) -> int:
        """The channel that is 1 where the hyperspectral sensor saw the date."""
        return self.values + CODES - 1


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of every dense and sharp band."""

    dense_mean: Tensor
    """(d,) reflectance."""

    dense_sd: Tensor
    """(d,) reflectance."""

    sharp_mean: Tensor
    """(s,) reflectance."""

    sharp_sd: Tensor
    """(s,) reflectance."""

    axes: Tensor
    """(d, q) scaled dense bands to principal components of unit variance."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], axes: int, by: str) -> Self:
        """From all valid pixels of all tiles; `axes` is the number of principal components."""
        pairs = [problem.require("dense", "sharp", by=by) for problem in problems]
        mean, sd = _moments([dense for dense, _ in pairs])
        sharp = _moments([sharp for _, sharp in pairs])
        return cls(mean, sd, *sharp, _axes([dense for dense, _ in pairs], mean, sd, axes))

    def of_dense(self, data: Tensor) -> Tensor:
        """(time, d, y, x) reflectance, scaled."""
        return (data - self.dense_mean[:, None, None]) / self.dense_sd[:, None, None]

    def of_sharp(self, data: Tensor) -> Tensor:
        """(time, s, y, x) reflectance, scaled."""
        return (data - self.sharp_mean[:, None, None]) / self.sharp_sd[:, None, None]

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


@dataclass(frozen=True, eq=False)
class Scene:
    """A problem's observations in scaled units, brought to all dates; the detail is still to come."""

    days: Tensor
    """(time,) days of the target."""

    rich: Timeline
    """Scores on the hyperspectral grid."""

    rich_weights: Tensor
    """(time, n, 1, y/r, x/r) weight of every hyperspectral date in every date."""

    dense: Timeline
    """Dense bands on their own grid."""

    sharp: Timeline
    """Sharp bands on the target's grid."""

    series: Tensor
    """(1, dates · s, y, x) all the sharp images, their own gaps closed in time."""

    problem: Problem
    """What it was made of."""

    @classmethod
    def of(
        cls, problem: Problem, subspace: Subspace, scaling: Scaling, sharp_days: Tensor, passes: int, by: str
    ) -> Self:
        """Project, scale and resample in time.

        Parameters
        ----------
        problem
            With all three roles.
        subspace, scaling
            Units of the scores and of the bands.
        sharp_days
            (n,) days at which the sharp series is read.
        passes
            Pixels of each sensor by which gaps are entered from their edges.
        by
            Who asks, for the error when a role is missing.
        """
        rich, dense, sharp = problem.require("rich", "dense", "sharp", by=by)
        days = problem.target.days
        scores, usable = subspace.project(rich.data, rich.valid)
        seen = days[rich.dates].to(scores.device)
        d = scaling.of_dense(dense.data)
        s = scaling.of_sharp(sharp.data)
        both = torch.cat([days.double(), sharp_days.to(days.device).double()])
        timeline = on_dates(s, sharp.valid, days[sharp.dates].double(), both, passes)
        at = [upsample(t, sharp.ratio) for t in timeline.values.split([len(days), len(sharp_days)])]
        return cls(
            days,
            on_dates(scores, usable, seen, days, passes),
            date_weights(usable, seen, days),
            on_dates(d, dense.valid, days[dense.dates], days, passes),
            Timeline(at[0], blocks(timeline.code[: len(days)], sharp.ratio), timeline.known[: len(days)]),
            at[1].flatten(0, 1)[None],
            problem,
        )


def features(scene: Scene, detail: Detail, axes: Tensor) -> Tensor:
    """(time, Layout.channels, y, x) of a scene; `axes` are the Scaling's."""
    rich, dense, _ = scene.problem.require("rich", "dense", "sharp")
    ratio = rich.ratio
    now = detail.apply(scene.series, scene.dense.values, scene.days, dense.view.spatial)
    known = now[rich.dates]
    low = upsample(lowpass(known, rich.view.spatial), ratio)
    fine_weights = [blocks(w, ratio) for w in scene.rich_weights]
    return torch.cat(
        [
            upsample(scene.rich.values, ratio),
            now,
            _between(known, fine_weights),
            _between(low, fine_weights),
            scene.sharp.values,
            products(now, axes),
            blocks(scene.rich.code, ratio),
            scene.sharp.code,
        ],
        1,
    )


def products(now: Tensor, axes: Tensor) -> Tensor:
    """(time, q (q + 1) / 2, y, x) products of the principal components, each with each."""
    components = torch.einsum("dq,tdyx->tqyx", axes, now)
    first, second = torch.triu_indices(axes.shape[1], axes.shape[1], device=now.device)
    return components[:, first] * components[:, second]


def mixed(x: Tensor, layout: Layout, axes: Tensor, dates: tuple[int, int], share: float) -> Tensor:
    """Features of a series of which one date is a mixture with another.

    All sensors are linear, so that a mixture of two dates is a date that could have been, and its images are
    the mixtures of theirs; seasons that no image shows are learned from such dates.

    Parameters
    ----------
    x
        (time, Layout.channels, y, x).
    layout, axes
        Of the features.
    dates
        The date that is changed, which was hidden, and the other one.
    share
        Of the other one.
    """
    date, other = dates
    changed = x.clone()
    now = x[date, layout.part("now")].lerp(x[other, layout.part("now")], share)
    changed[date, layout.part("now")] = now
    changed[date, layout.part("products")] = products(now[None], axes)[0]
    return changed


def _between(images: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return torch.cat([resample(images, w[None]) for w in weights])


def _moments(observations: Sequence[Observation]) -> tuple[Tensor, Tensor]:
    """(band,) mean and standard deviation of the valid pixels; a band without any has 0 and 1."""
    sums = torch.zeros(3, observations[0].data.shape[1], dtype=torch.float64)
    for observation in observations:
        mask = observation.valid.expand_as(observation.data)
        kept = torch.where(mask, observation.data, 0.0).double()
        parts = (mask.double(), kept, kept.square())
        sums = sums.to(kept.device) + torch.stack([part.sum((0, 2, 3)) for part in parts])
    count, first, second = sums
    mean = first / count.clamp_min(1)
    sd = (second / count.clamp_min(1) - mean.square()).clamp_min(0.0).sqrt()
    return mean.float(), torch.where(sd > 1e-6, sd, 1.0).float()


def _axes(observations: Sequence[Observation], mean: Tensor, sd: Tensor, count: int) -> Tensor:
    """(d, q) principal axes of the scaled bands, each over the root of its variance."""
    bands = len(mean)
    covariance = torch.zeros(bands, bands, dtype=torch.float64, device=mean.device)
    for observation in observations:
        mask = observation.valid.expand_as(observation.data)
        scaled = torch.where(mask, (observation.data - mean[:, None, None]) / sd[:, None, None], 0.0)
        flat = scaled.movedim(1, 0).flatten(1).double()
        covariance += flat @ flat.T / flat.shape[1] / len(observations)
    values, vectors = torch.linalg.eigh(covariance)
    kept = min(count, bands)
    root = values.flip(0)[:kept].clamp_min(1e-6).sqrt()
    return (signed(vectors.flip(1)[:, :kept]) / root).float().contiguous()
