"""Pair: a hyperspectral and a multispectral image of one date of one tile, ready for a pair method."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Pair"]


@dataclass(frozen=True, eq=False)
class Pair:
    """One date of one tile, as both sensors saw it. Dead bands are left out, gaps are filled."""

    coarse: Tensor
    """(L, h, w) hyperspectral reflectance."""

    fine: Tensor
    """(l, H, W) multispectral reflectance, registered onto the coarse grid where the model says so."""

    clear: Tensor
    """(h, w) bool: the coarse pixel and all that it sees of the fine image are valid and inside it."""

    known: Tensor
    """(H, W) bool: where the fine image is valid."""

    coverage: Tensor
    """(l, L) bool: which hyperspectral bands a multispectral band looks at; a row may be empty."""

    nm: Tensor
    """(L,) wavelengths of the hyperspectral bands."""

    ratio: int
    """Fine pixels along one side of a coarse one."""

    day: float
    """Days since the series' first date."""

    coarse_noise: Tensor | None
    """(L,) standard deviation, reflectance; None: unknown."""

    fine_noise: Tensor | None
    """(l,) standard deviation, reflectance; None: unknown."""

    def samples(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Images on the coarse grid, (c, h, w), as (c, n) of the clear pixels."""
        return tuple(image[:, self.clear] for image in images)
