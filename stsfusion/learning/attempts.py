"""Attempts: the regressions that a mixture is stacked of, all tried on the same coarse pixels.

::

    fine     y ─► looks u ─► φ_m(u)
    coarse        k * φ_m ─ regression, blocks left out ─► one fit for every member m and every shrinkage

Features are made on the fine grid and averaged by the point spread function, so what is learned on coarse
pixels holds on fine ones as far as it goes. Members: one linear map, and experts of several numbers, gated by
the pixel, by its neighbourhood or by both. No member and no shrinkage is chosen here: their mean is better
than the best of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.leaveout import Fit, path, ridge
from stsfusion.learning.likeness import Likeness
from stsfusion.learning.members import Member, columns
from stsfusion.learning.sampling import SAMPLE, lit, sampled
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Attempts", "Ground", "evened"]

_LINEAR = tuple(10.0 ** (-9 + k) for k in range(10))
"""Candidates for the shrinkage of the linear map, which is chosen by the coarse pixels that were left out."""

_FREE = (3e-3, 3e-2, 3e-1)
"""Shrinkages of the experts towards the linear map, were coarse pixels single fine ones.

The more of them a coarse pixel averages, the less it errs, as the features do: in the same measure.
"""

_MANY = 625
"""Coarse pixels below which it is their number that experts are shrunk for: the fewer, the more.

Beyond, errors that all coarse pixels share, as of experts that fine ones do not follow, fall no further.
"""

_DARK = 0.05
"""Share of the mean brightness under which darker pixels weigh no more."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What attempts are learned on, and where it is asked what they say."""

    images: Sequence[Tensor]
    """Tiles (l, H, W) of the multispectral image."""

    clear: Sequence[Tensor]
    """(h, w) masks of the coarse pixels to learn from."""

    model: PairModel
    """The sensors."""

    blocks: Tensor
    """Places of coarse pixels that are left out together; see `blocks_of`."""

    places: Sequence[Tensor]
    """Of the fine pixels of every tile that are asked about."""

    def both(self, images: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """Of (c, H, W) tiles: (c, n) clear coarse pixels, double precision, and (c, s) at the places."""
        low, near = [], []
        for image, mask, place in zip(images, self.clear, self.places, strict=True):
            low.append(self.model.lowpass(image)[:, mask])
            near.append(image.flatten(1).T[place])
        return torch.cat(low, 1).double(), torch.cat(near).T

    @property
    def pixels(self) -> Tensor:
        """(l, s) of the images at the places."""
        both = zip(self.images, self.places, strict=True)
        return torch.cat([image.flatten(1)[:, place] for image, place in both], 1)


@dataclass(frozen=True, eq=False)
class Attempts:
    """All fits of the same outputs."""

    looks: Looks
    """How pixels are looked at."""

    experts: tuple[Experts, ...]
    """How the features of the members are made."""

    fits: tuple[Fit, ...]
    """The linear map, then member by member under every shrinkage; plain columns are [1, whitened bands]."""

    told: Tensor
    """(m, q, s) what every fit says of the fine pixels that are asked about, of the last q outputs."""

    over: Tensor
    """(m, q, n) what every fit leaves over of these outputs."""

    @classmethod
    def learn(
        cls,
        ground: Ground,
        outputs: Tensor,
        weight: Tensor,
        dice: torch.Generator,
        members: Sequence[Member],
        *,
        last: int = 1,
        sample: int = SAMPLE,
    ) -> Attempts:
        """Try them all.

        Parameters
        ----------
        ground
            What to learn on.
        outputs, weight
            (n, p) and (n,) of the clear coarse pixels, double precision.
        dice
            For sampled pixels.
        members
            Beside the linear map.
        last
            How many of the outputs, the last ones, are asked about.
        sample
            Fine pixels that looks and experts are learned from.
        """
        where = lit(ground.images)
        looks = Looks.learn(sampled(ground.images, where, sample, dice))
        seen = [looks(image) for image in ground.images]
        bands = looks.white.shape[1]
        own, near = (_with_one(rows) for rows in ground.both(image[:bands] for image in seen))
        scale = own[1:].square().mean(1).sqrt().clamp_min(1e-9)
        likeness = Likeness.of(ground.clear)
        straight, shares = _straight(own, scale, outputs, weight, ground.blocks, likeness)
        fits, asked, aims = [straight], slice(-last, None), outputs[:, -last:].T
        told, over = [_made(fits, near, near[:0], asked)], [aims - _made(fits, own, own[:0], asked)]
        points = sampled(seen, where, sample, dice)
        strength = max(1.0, _MANY / len(outputs)) / ground.model.averaged
        shrinkages = [strength * free for free in _FREE]
        experts = []
        for member in members:
            both = (columns(name, bands) for name in (member.gates, member.inputs))
            by, of = (torch.tensor(places, device=points.device) for places in both)
            experts.append(Experts.learn(points, by, of, member.seen(looks)))
            # One tile at a time: its features are hundreds of bands.
            low, bent = ground.both(experts[-1].image(image) for image in seen)
            tried = path(low.T, own.T, outputs, weight, ground.blocks, shrinkages, likeness, shares)
            told.append(_made(tried, near, bent, asked))
            over.append(aims - _made(tried, own, low, asked))
            # Many of them are held at once.
            fits += [replace(fit, left=fit.left.float(), judged=fit.judged.float()) for fit in tried]
        return cls(looks, tuple(experts), tuple(fits), torch.cat(told), torch.cat(over))

    def first(self, count: int) -> Attempts:
        """Those of the first outputs alone."""
        fits = [Fit(**{name: part[:, :count] for name, part in vars(fit).items()}) for fit in self.fits]
        return replace(self, fits=tuple(fits))

    def slopes(self, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Plain (k + 1, p) and sloped (D_m, p) coefficients of all fits together, of (m, p) weights."""
        plain = torch.stack([fit.plain * own for fit, own in zip(self.fits, weights, strict=True)]).sum(0)
        sloped, own = self.fits[1:], weights[1:]
        steps = range(0, len(sloped), len(_FREE))
        return plain, [
            torch.stack([sloped[i].slope * own[i] for i in range(start, start + len(_FREE))]).sum(0)
            for start in steps
        ]


def evened(pixels: Tensor) -> Tensor:
    """(n,) weights of (b, n) pixels, of mean one: between absolute and relative error."""
    size = torch.linalg.vector_norm(pixels, dim=0)
    weight = 1.0 / (size / size.mean().clamp_min(1e-12)).clamp_min(_DARK)
    return weight / weight.mean()


def _straight(
    own: Tensor, scale: Tensor, outputs: Tensor, weight: Tensor, blocks: Tensor, likeness: Likeness
) -> tuple[Fit, Tensor]:
    """The linear map on (k + 1, n) rows of [1, whitened bands], and the (p,) shares of likeness about it."""
    fitted = ((own[1:] / scale[:, None]).T, own[:1].T, outputs, weight, blocks, _LINEAR)
    shares = likeness.shares(ridge(*fitted).left, weight)
    fit = ridge(*fitted, likeness, shares)
    return replace(fit, slope=fit.slope[:0], plain=torch.cat([fit.plain, fit.slope / scale[:, None]])), shares


def _made(fits: Sequence[Fit], plain: Tensor, features: Tensor, asked: slice) -> Tensor:
    """(m, q, n) what fits make of (k + 1, n) plain rows and (d, n) features, of the outputs asked about."""
    line = torch.stack([fit.plain[:, asked] for fit in fits]).to(plain)
    bend = torch.stack([fit.slope[:, asked] for fit in fits]).to(features)
    return torch.einsum("mkq,kn->mqn", line, plain) + torch.einsum("mdq,dn->mqn", bend, features)


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(rows[:1]), rows])
