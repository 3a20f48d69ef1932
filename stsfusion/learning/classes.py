"""Classes: fine pixels sorted by their spectra, and what each class changed by as coarse pixels saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.lloyd import settled

__all__ = ["Classes", "class_changes"]

_ROUNDS = 25
"""Of the clustering."""

_RIDGE = 1e-4
"""What holds a class that hardly any coarse pixel holds at the mean change, in the mean squared share."""

_FEW = 10
"""Coarse pixels from which on the strangest of a class are left out."""


@dataclass(frozen=True, eq=False)
class Classes:
    """Centres of classes in spectra that are measured in `scale`."""

    centres: Tensor
    """(k, b), in `scale`."""

    scale: Tensor
    """(b,) reflectance."""

    @classmethod
    def learn(cls, pixels: Tensor, scale: Tensor, count: int, dice: torch.Generator) -> Self:
        """k-means of (n, b) pixels from a start that is spread out; of few pixels some centres are equal.

        Source: Arthur and Vassilvitskii (2007), k-means++.
        """
        points = pixels / scale
        centres = points[torch.randint(len(points), (1,), generator=dice)]
        while len(centres) < count:
            near = torch.cdist(points, centres).square().amin(1)
            odds = torch.where(near.sum() > 0, near, 1.0).cpu()
            centres = torch.cat([centres, points[torch.multinomial(odds, 1, generator=dice)]])
        return cls(settled(points, centres, _ROUNDS), scale)

    def __call__(self, image: Tensor) -> Tensor:
        """(b, y, x) to (y, x) the nearest centre, the same in a tile as in the whole."""
        points = image / self.scale[:, None, None]
        best = torch.full_like(points[0], torch.inf)
        labels = torch.zeros(points.shape[1:], dtype=torch.long, device=image.device)
        for label, centre in enumerate(self.centres):
            far = torch.zeros_like(best)
            for band, level in zip(points, centre, strict=True):
                far.add_((band - level).square_())
            nearer = far < best
            best = torch.where(nearer, far, best)
            labels.masked_fill_(nearer, label)
        return labels


def class_changes(shares: Tensor, change: Tensor, purest: int, trim: float) -> Tensor:
    """Least squares ΔC(i) = Σ_c A_c(i) ΔF_c over the purest coarse pixels of every class.

    Parameters
    ----------
    shares
        (k, n) of the classes in coarse pixels, A.
    change
        (b, n) what the coarse sensor saw, reflectance.
    purest
        Coarse pixels that each class brings, and all that are as pure as the last of them.
    trim
        Share of them left out at either end of their changes, band by band: there land cover changed.

    Returns
    -------
    Tensor
        (k, b) changes of the classes; of one that is nowhere, the mean change.
    """
    used = torch.zeros_like(change, dtype=torch.bool)
    for share in shares:
        places = _purest(share, purest)
        if len(places):
            used[:, places] |= _usual(change[:, places], trim)
    bands = zip(change.double(), used, strict=True)
    return torch.stack([_solve(shares[:, use].double(), band[use]) for band, use in bands], 1).to(change)


def _purest(share: Tensor, count: int) -> Tensor:
    """(m,) places of the largest shares that are not zero."""
    least = share.topk(min(count, len(share))).values[-1:]
    return ((share >= least) & (share > 0)).nonzero()[:, 0]


def _usual(change: Tensor, trim: float) -> Tensor:
    """(b, n) bool: between both quantiles of the band."""
    if change.shape[1] < _FEW:
        return torch.ones_like(change, dtype=torch.bool)
    low, high = torch.quantile(change, torch.tensor([trim, 1.0 - trim]).to(change), dim=1, keepdim=True)
    return (change >= low) & (change <= high)


def _solve(shares: Tensor, change: Tensor) -> Tensor:
    """(k,) of one band, from (k, n) and (n,), around the mean change."""
    count = max(len(change), 1)
    mean = change.sum() / count
    square = shares @ shares.T / count + _RIDGE * torch.eye(len(shares)).to(shares)
    return mean + torch.linalg.solve(square, shares @ (change - mean) / count)
