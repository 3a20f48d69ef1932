"""Sampling: which fine pixels of tiles are learned from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["SAMPLE", "drawn", "lit", "sampled"]

SAMPLE = 40_000
"""Fine pixels that centres and whitening are learned from."""


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
