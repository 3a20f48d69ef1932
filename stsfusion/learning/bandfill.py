"""Bandfill: bands that a pixel lacks, from those that it has.

    E[y_lost | y_seen]  =  μ_lost + C_lost,seen (C_seen,seen + λ D)⁻¹ (y_seen − μ_seen)        D = diag C

Mean and covariance are those of pixels that have all bands, on any date: a band that failed on one date, or
in a column, is told by the others as it goes with them elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept

__all__ = ["BandFill"]

_RIDGE = 1e-4
"""λ: share of a band's variance that is added to it."""

_HALF = 0.5
"""Least share of its bands that a pixel must have."""

_MOST = 64
"""Patterns of lost bands that are looked at, the most frequent ones first."""


@dataclass(frozen=True, eq=False)
class BandFill(Kept):
    """How bands go together."""

    mean: Tensor
    """(l,) reflectance."""

    covariance: Tensor
    """(l, l) reflectance²."""

    @classmethod
    def learn(cls, images: Iterable[tuple[Tensor, Tensor]]) -> Self | None:
        """From (l, y, x) images and their masks, of any dates; None where no pixel lacks a part of its bands,
        or too few have all of them.
        """
        partial, count = False, 0
        first = second = torch.zeros(())
        for image, mask in images:
            whole = mask.all(0)
            partial |= bool((mask.any(0) & ~whole).any())
            x = image[:, whole].double()
            first, second, count = first + x.sum(1), second + x @ x.T, count + x.shape[1]
        if not partial or first.ndim == 0 or count <= len(first):
            return None
        mean = first / count
        return cls(mean.float(), (second / count - torch.outer(mean, mean)).float())

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(l, y, x) image and mask with what could be told; each pixel by itself."""
        partly = mask.any(0) & ~mask.all(0) & (mask.float().mean(0) >= _HALF)
        if not bool(partly.any()):
            return image, mask
        image, known = image.clone(), mask.clone()
        patterns = torch.unique(mask[:, partly], dim=1).T
        for seen in patterns[:_MOST]:
            where = partly & (mask == seen[:, None, None]).all(0)
            image[:, where] = self._told(image[:, where], seen)
            known[:, where] = True
        return image, known

    def _told(self, pixels: Tensor, seen: Tensor) -> Tensor:
        """(l, n) pixels with the lost bands told by those that were seen."""
        mean, covariance = self.mean.to(pixels.device).double(), self.covariance.to(pixels.device).double()
        inner = covariance[seen][:, seen]
        load = torch.diag(inner.diagonal().clamp_min(1e-30))
        weights = torch.linalg.solve(inner + _RIDGE * load, covariance[seen][:, ~seen])
        told = mean[~seen, None] + weights.T @ (pixels[seen].double() - mean[seen, None])
        out = pixels.clone()
        out[~seen] = told.to(pixels)
        return out
