"""Blend: the bases of an asked date as one, weighted pixel by pixel, and the coarse change smoothed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from stsfusion.fusion.timeline import date_weights
from stsfusion.learning.looks import Base, Look

__all__ = ["Blend", "gaussian_mean", "gaussian_reach", "linear_shares", "pixels", "settled"]

_REACH = 3.0
"""Standard deviations of a Gaussian that are kept."""


@dataclass(frozen=True, eq=False)
class Blend:
    """Σ w_i of what the bases hold, the weights summing to one in every pixel."""

    fine: Tensor
    """(b, H, W) reflectance."""

    coarse: Tensor
    """(b, H, W) reflectance on the fine grid."""

    own: Tensor
    """(b, h, w) the same on the dense sensor's grid."""

    known: Tensor
    """(H, W) bool: everything in it was seen."""

    @classmethod
    def of(cls, bases: Sequence[Base], shares: Tensor) -> Self:
        """Sum bases by (n, H, W) shares."""
        under = avg_pool2d(shares[:, None], bases[0].ratio)[:, 0]
        blind = torch.zeros_like(bases[0].known)
        for share, base in zip(shares, bases, strict=True):
            blind |= (share > 0) & ~base.known
        return cls(
            _sum(shares, [base.fine for base in bases]),
            _sum(shares, [base.coarse for base in bases]),
            _sum(under, [base.own for base in bases]),
            ~blind,
        )

    @classmethod
    def linear(cls, bases: Sequence[Base], asked: Look) -> Self:
        """Linear in days between the nearest bases known at each pixel."""
        return cls.of(bases, linear_shares(bases, asked))


def linear_shares(bases: Sequence[Base], asked: Look) -> Tensor:
    """(n, H, W) linear in days between the nearest bases known at a pixel; outside them the nearest alone."""
    known = torch.stack([base.known for base in bases])[:, None]
    days = torch.tensor([base.day for base in bases], dtype=torch.float64)
    day = torch.tensor([asked.day], dtype=torch.float64)
    shares, plain = (date_weights(mask, days, day)[0, :, 0] for mask in (known, torch.ones_like(known)))
    return settled(shares, plain)


def settled(weights: Tensor, plain: Tensor) -> Tensor:
    """(n, H, W) weights to a sum of one; where all are zero, `plain` takes their place."""
    total = weights.sum(0)
    return torch.where(total > 0, weights / total.clamp_min(torch.finfo(weights.dtype).tiny), plain)


def pixels(images: Sequence[Tensor], known: Sequence[Tensor]) -> Tensor:
    """(b, n) what was seen in several (b, y, x) images; all of them, where nothing was."""
    seen = torch.cat([image[:, mask] for image, mask in zip(images, known, strict=True)], 1)
    return seen if seen.shape[1] else torch.cat([image.flatten(1) for image in images], 1)


def gaussian_mean(image: Tensor, deviation: float) -> Tensor:
    """(b, y, x) smoothed by a Gaussian of this standard deviation in pixels, cut off at three of them.

    Near the image's edge the weights inside it count alone.
    """
    half = gaussian_reach(deviation)
    if half == 0:
        return image
    places = torch.arange(-half, half + 1, dtype=image.dtype, device=image.device)
    profile = torch.exp(-0.5 * (places / deviation) ** 2)
    profile = profile / profile.sum()
    flat = torch.cat([image, torch.ones_like(image[:1])])[:, None]
    tall = conv2d(flat, profile[None, None, :, None], padding=(half, 0))
    wide = conv2d(tall, profile[None, None, None, :], padding=(0, half))[:, 0]
    return wide[:-1] / wide[-1:]


def gaussian_reach(deviation: float) -> int:
    """Pixels that `gaussian_mean` looks at on every side."""
    return int(_REACH * deviation + 0.5)


def _sum(shares: Tensor, images: Sequence[Tensor]) -> Tensor:
    """Σ w_i x_i of (n, y, x) shares and n images (b, y, x)."""
    total = torch.zeros_like(images[0])
    for share, image in zip(shares, images, strict=True):
        total.addcmul_(share, image)
    return total
