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
from stsfusion.operators.pairmodel import PairModel

__all__ = ["SAMPLE", "Attempts", "Ground", "Member", "drawn", "evened", "lit", "members_for"]

Member = tuple[str, str, int]
"""What the gates go by, what the experts map, and their number."""

_MEMBERS: tuple[Member, ...] = (
    ("own", "own", 2),
    ("own", "own", 4),
    ("own", "own", 8),
    ("own", "own", 32),
    ("own", "both", 4),
    ("both", "both", 2),
    ("both", "both", 4),
    ("both", "both", 16),
    ("around", "own", 2),
    ("around", "own", 4),
    ("around", "own", 8),
    ("around", "own", 32),
    ("around", "both", 4),
)
"""All that are tried where there are coarse pixels enough; see `members_for`."""

_LINEAR = tuple(10.0 ** (-9 + k) for k in range(10))
"""Candidates for the shrinkage of the linear map, which is chosen by the coarse pixels that were left out."""

_FREE = (1e-3, 1e-2, 1e-1, 1.0)
"""Shrinkages of the experts towards the linear map."""

_DARK = 0.05
"""Share of the mean brightness under which darker pixels weigh no more."""

SAMPLE = 40_000
"""Fine pixels that centres and whitening are learned from."""


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
            For sampled pixels and clusters.
        members
            Beside the linear map; see `members_for`.
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
        looked = {"own": range(bands), "around": range(bands, 2 * bands), "both": range(2 * bands)}
        experts = []
        for gates, inputs, count in members:
            by, of = (torch.tensor(list(looked[name]), device=points.device) for name in (gates, inputs))
            experts.append(Experts.learn(points, by, of, count, dice))
            # One tile at a time: its features are hundreds of bands.
            low, bent = ground.both(experts[-1].image(image) for image in seen)
            tried = path(low.T, own.T, outputs, weight, ground.blocks, _FREE, likeness, shares)
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


def members_for(most: int, bands: int, pixels: int) -> list[Member]:
    """Members of at most so many experts, and of no more features than coarse pixels to learn them from.

    A fit of more features goes through its pixels, and through those beside the ones that are left out: their
    errors say nothing of others.
    """
    inputs = {"own": bands, "around": bands, "both": 2 * bands}
    return [
        (gates, of, count)
        for gates, of, count in _MEMBERS
        if count <= most and count * (1 + inputs[of]) <= pixels
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


def lit(images: Sequence[Tensor]) -> list[Tensor]:
    """(H, W) bool of every tile: pixels that are not empty; all pixels, where no tile has any that is not.

    Of (c, n) pixels: (n,).
    """
    masks = [(image != 0).any(0) for image in images]
    return masks if any(bool(mask.any()) for mask in masks) else [~mask for mask in masks]


def drawn(where: Sequence[Tensor], count: int, dice: torch.Generator) -> list[Tensor]:
    """Places of `count` pixels in all, the same number from each of (H, W) masks, as far as they go."""
    share = max(1, count // len(where))
    return [_chosen(mask, share, dice).sort().values for mask in where]


def sampled(images: Sequence[Tensor], where: Sequence[Tensor], count: int, dice: torch.Generator) -> Tensor:
    """(n, c) pixels drawn from (c, H, W) images inside masks, the same number from each, in any order."""
    share = max(1, count // len(images))
    both = zip(images, where, strict=True)
    return torch.cat([image.flatten(1)[:, _chosen(mask, share, dice)].T for image, mask in both])


def _chosen(mask: Tensor, count: int, dice: torch.Generator) -> Tensor:
    places = mask.flatten().nonzero()[:, 0]
    return places[torch.randperm(len(places), generator=dice)[:count].to(places.device)]
