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

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.leaveout import Fit, path, ridge
from stsfusion.learning.likeness import Likeness
from stsfusion.operators.pairmodel import PairModel

__all__ = ["SAMPLE", "Attempts", "Member", "evened", "members_for", "sampled"]

Member = tuple[str, str, int]
"""What the gates go by, what the experts map, and their number."""

_MEMBERS: tuple[Member, ...] = (
    ("own", "own", 8),
    ("own", "own", 32),
    ("both", "both", 4),
    ("both", "both", 8),
    ("both", "both", 16),
    ("around", "own", 8),
    ("around", "own", 16),
    ("around", "own", 32),
)
"""All that are tried where there are coarse pixels enough; see `members_for`."""

_LINEAR = tuple(10.0 ** (-9 + 0.5 * k) for k in range(19))
"""Candidates for the shrinkage of the linear map, which is chosen by the coarse pixels that were left out."""

_FREE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Shrinkages of the experts towards the linear map."""

_DARK = 0.05
"""Share of the mean brightness under which darker pixels weigh no more."""

SAMPLE = 40_000
"""Fine pixels that centres and whitening are learned from."""


@dataclass(frozen=True, eq=False)
class Attempts:
    """All fits of the same outputs."""

    looks: Looks
    """How pixels are looked at."""

    experts: tuple[Experts, ...]
    """How the features of the members are made."""

    fits: tuple[Fit, ...]
    """The linear map, then member by member under every shrinkage; plain columns are [1, whitened bands]."""

    told: tuple[Tensor, ...]
    """(m, H, W) what every fit makes of the tiles, of the first output; none unless it was asked for."""

    @classmethod
    def learn(
        cls,
        images: Sequence[Tensor],
        outputs: Tensor,
        weight: Tensor,
        clear: Sequence[Tensor],
        model: PairModel,
        blocks: Tensor,
        dice: torch.Generator,
        members: Sequence[Member],
        *,
        sample: int = SAMPLE,
        tell: bool = False,
    ) -> Attempts:
        """Try them all.

        Parameters
        ----------
        images
            Tiles (l, H, W) of the multispectral image.
        outputs, weight
            (n, p) and (n,) of the clear coarse pixels, double precision.
        clear
            (h, w) masks of the coarse pixels to learn from.
        model
            The sensors.
        blocks
            Places of coarse pixels that are left out together; see `blocks_of`.
        dice
            For sampled pixels and clusters.
        members
            Beside the linear map; see `members_for`.
        sample
            Fine pixels that looks and experts are learned from.
        tell
            Whether to give back what the fits make of the tiles.
        """
        looks = Looks.learn(sampled(images, sample, dice))
        seen = [looks(image) for image in images]
        bands = looks.white.shape[1]

        def coarse(features: Sequence[Tensor]) -> Tensor:
            low = [model.lowpass(image)[:, mask] for image, mask in zip(features, clear, strict=True)]
            return torch.cat(low, 1).T.double()

        own = coarse([image[:bands] for image in seen])
        one = torch.ones_like(own[:, :1])
        scale = own.square().mean(0).sqrt().clamp_min(1e-9)
        likeness = Likeness.of(clear)
        straight = ridge(own / scale, one, outputs, weight, blocks, _LINEAR)
        shares = likeness.shares(straight.left, weight)
        straight = ridge(own / scale, one, outputs, weight, blocks, _LINEAR, likeness, shares)
        line = torch.cat([straight.plain, straight.slope / scale[:, None]])
        fits = [replace(straight, slope=straight.slope[:0], plain=line)]
        points = sampled(seen, sample, dice)
        looked = {"own": range(bands), "around": range(bands, 2 * bands), "both": range(2 * bands)}
        plain = torch.cat([one, own], 1)
        experts, bent = [], []
        for gates, inputs, count in members:
            by, of = (torch.tensor(list(looked[name]), device=points.device) for name in (gates, inputs))
            experts.append(Experts.learn(points, by, of, count, dice))
            features = [experts[-1].image(image) for image in seen]
            tried = path(coarse(features), plain, outputs, weight, blocks, _FREE, likeness, shares)
            # Many of them are held at once.
            fits += [replace(fit, left=fit.left.float(), judged=fit.judged.float()) for fit in tried]
            if tell:
                bent.append([_mapped(image, [fit.slope for fit in tried]) for image in features])
        told = []
        for tile, image in enumerate(seen if tell else []):
            line = _mapped(image[:bands], [fit.plain[1:] for fit in fits])
            line += torch.stack([fit.plain[0, 0] for fit in fits]).to(line)[:, None, None]
            if bent:
                line[1:] += torch.cat([part[tile] for part in bent])
            told.append(line)
        return cls(looks, tuple(experts), tuple(fits), tuple(told))

    def said(self, looks: Tensor, start: int) -> Tensor:
        """(m, q, n) what the fits make of (n, 2 k) looks, of the outputs from `start` on."""
        line = torch.stack([fit.plain[:, start:] for fit in self.fits]).to(looks)
        said = torch.einsum("mkq,nk->mqn", line[:, 1:], looks[:, : line.shape[1] - 1]) + line[:, 0, :, None]
        for m, experts in enumerate(self.experts):
            own = slice(1 + m * len(_FREE), 1 + (m + 1) * len(_FREE))
            slopes = torch.stack([fit.slope[:, start:] for fit in self.fits[own]]).to(looks)
            said[own] += torch.einsum("mdq,nd->mqn", slopes, experts.features(looks))
        return said

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


def _mapped(features: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    """(m, H, W) of (d, H, W) features through the first columns of m times (d, p) slopes."""
    together = torch.stack([slope[:, 0] for slope in slopes]).to(features)
    return torch.einsum("md,dyx->myx", together, features)


def sampled(images: Sequence[Tensor], count: int, dice: torch.Generator) -> Tensor:
    """(n, c) pixels drawn from (c, H, W) images, the same number from each."""
    share = max(1, count // len(images))
    rows = []
    for image in images:
        flat = image.flatten(1)
        rows.append(flat[:, torch.randperm(flat.shape[1], generator=dice)[:share].to(flat.device)].T)
    return torch.cat(rows)
