"""Noise of a pair: what neighbours cannot tell of each image, as far as the sensors' misfit confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.pair import Pair
from stsfusion.learning.signal import neighbour_noise, texture_noise
from stsfusion.operators.pairmodel import PairModel

__all__ = ["PairNoise", "gathered"]


@dataclass(frozen=True, eq=False)
class PairNoise:
    """Of both images, and what is more than noise."""

    coarse: Tensor
    """(L,) variance in the hyperspectral image."""

    fine: Tensor
    """(l,) variance in the multispectral image."""

    weight: Tensor
    """(L,) standard deviation by which the subspace divides: alike for all bands where there is no noise."""

    crossed: Tensor
    """(l,) variance of the sensor model's misfit that noise does not explain, over that of k * Y."""

    @classmethod
    def of(cls, pairs: Sequence[Pair], model: PairModel) -> Self:
        """What neighbours cannot tell is noise only as far as the misfit of k * Y and R Z confirms it."""
        pixels = torch.cat([pair.samples(pair.coarse)[0] for pair in pairs], 1)
        coarse = neighbour_noise(pixels.T, pairs[0].nm).square()
        fine = texture_noise([pair.fine for pair in pairs]).square()
        expected = model.response.to(coarse).square() @ coarse + fine / model.averaged
        live = pairs[0].coverage.any(1) & (expected > 0)
        met = model.misfit.to(coarse).square()
        share = float((met[live] / expected[live]).median().clamp(0.0, 1.0)) if bool(live.any()) else 1.0
        even = coarse.mean().clamp_min(1e-12)
        size = gathered([model.lowpass(pair.fine) for pair in pairs], pairs).to(coarse).var(1)
        crossed = (met - share * expected).clamp_min(0.0) / size.clamp_min(1e-300)
        return cls(share * coarse, share * fine, (share * coarse + (1.0 - share) * even).sqrt(), crossed)


def gathered(images: Sequence[Tensor], pairs: Sequence[Pair]) -> Tensor:
    """(c, n) of the clear coarse pixels of all tiles."""
    return torch.cat([image[:, pair.clear] for image, pair in zip(images, pairs, strict=True)], 1)
