"""Wiener: the noise of a multispectral image taken down by its other bands and its neighbours.

::

    seen  o = [ỹ, mean of 3×3, mean of 5×5]  (3 l)        ŷ = μ + cov(y, o) cov(o, o)⁻¹ (o − μ)
    cov(y, o) = cov(ỹ, o) − N · [1, 1/9, 1/25]            N = diag(noise²): white, and in every mean

Without noise the image comes back as it is.

Source: Wiener (1949), the linear estimate of least mean square error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from stsfusion.learning.kept import Kept

__all__ = ["SIGHT", "Wiener"]

SIGHT = 2
"""Pixels that the filter sees on every side."""

_SHARES = (1.0, 1.0 / 9.0, 1.0 / 25.0)
"""Of a pixel in the means that it is part of: what they share of its noise."""


@dataclass(frozen=True, eq=False)
class Wiener(Kept):
    """A linear filter of (l, H, W) images."""

    weights: Tensor
    """(l, 3 l)."""

    mean: Tensor
    """(l,) reflectance."""

    @classmethod
    def learn(cls, images: Sequence[Tensor], noise: Tensor) -> Self:
        """From the images themselves and the (l,) variance of their noise."""
        bands = len(noise)
        mean = torch.cat([image.flatten(1) for image in images], 1).double().mean(1)
        gram, count = torch.zeros(3 * bands, 3 * bands).to(mean), 0
        for image in images:
            seen = _seen(image.double() - mean[:, None, None]).flatten(1)
            gram, count = gram + seen @ seen.T, count + seen.shape[1]
        gram = gram / max(count, 1)
        own = torch.diag(noise.to(mean))
        hidden = torch.cat([share * own for share in _SHARES], 1)
        # cov(ỹ, o) cov(o, o)⁻¹ is the identity on the own bands: only the noise's part must be solved for.
        ground = 1e-9 * gram.diagonal().mean().clamp_min(1e-20) * torch.eye(3 * bands).to(gram)
        keep = torch.eye(bands, 3 * bands).to(gram)
        return cls((keep - torch.linalg.solve(gram + ground, hidden.T).T).float(), mean.float())

    def __call__(self, image: Tensor) -> Tensor:
        """(l, H, W) to the same; edges are repeated."""
        centred = image - self.mean[:, None, None]
        return torch.einsum("lo,oyx->lyx", self.weights, _seen(centred)) + self.mean[:, None, None]


def _seen(image: Tensor) -> Tensor:
    """(3 l, H, W) of an image: itself and its means over 3×3 and 5×5."""
    wide = pad(image[None], (SIGHT,) * 4, mode="replicate")
    near, far = avg_pool2d(wide[..., 1:-1, 1:-1], 3, 1)[0], avg_pool2d(wide, 5, 1)[0]
    return torch.cat([image, near, far])
