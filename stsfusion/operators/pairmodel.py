"""PairModel: what ties a coarse hyperspectral and a fine multispectral image of one place together.

::

                    X  (L, H, W)
        k, ratio  ╱              ╲  R
       Z (L, h, w)                Y (l, H, W)         k * Y ≈ R Z
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from stsfusion.operators.blur import Blur
from stsfusion.operators.resample import Upsample

__all__ = ["PairModel", "support"]


def support(ratio: int) -> int:
    """Fine pixels beyond its own block where a point spread function is looked for.

    Three quarters of the ratio, four at least: overlapping optics and a displacement find their place.
    """
    return max(4, -(-3 * ratio // 4))


@dataclass(frozen=True, eq=False)
class PairModel:
    """A point spread function, a spectral response, and how far they explain the data."""

    kernel: Tensor
    """(k, k) point spread function of the coarse sensor on the fine grid, not negative, unit sum."""

    response: Tensor
    """(l, L) responses of the fine bands over the coarse sensor's; zero outside the coverage."""

    misfit: Tensor
    """(l,) root mean square of k * Y − R Z, reflectance at the coarse grid."""

    moved: Tensor
    """(2,) fine pixels (down, right) from which the fine image is fetched, to lie as the coarse one does."""

    ratio: int
    """Fine pixels along one side of a coarse one."""

    @property
    def reach(self) -> int:
        """Fine pixels beyond its own block that a coarse pixel sees."""
        return max((self.kernel.shape[0] - self.ratio) // 2, 0)

    @property
    def centre(self) -> tuple[float, float]:
        """(down, right) of the kernel's centre of mass from its middle, fine pixels."""
        places = torch.arange(self.kernel.shape[0], dtype=self.kernel.dtype, device=self.kernel.device)
        places = places - (self.kernel.shape[0] - 1) / 2
        return float(self.kernel.sum(1) @ places), float(self.kernel.sum(0) @ places)

    @property
    def averaged(self) -> float:
        """Fine pixels that a coarse one averages, in effect: what the variance of a white field falls by."""
        return float(self.kernel.double().square().sum().reciprocal())

    def lowpass(self, image: Tensor) -> Tensor:
        """(c, H, W) on the fine grid to what the coarse sensor makes of it, (c, h, w)."""
        return self.blur(image.shape[0], image.shape[1], image.shape[2])(image[None])[0]

    def spread(self, image: Tensor) -> Tensor:
        """The adjoint of `lowpass`: (c, h, w) to (c, H, W)."""
        bands, rows, cols = image.shape
        return self.blur(bands, rows * self.ratio, cols * self.ratio).adjoint(image[None])[0]

    def blur(self, bands: int, rows: int, cols: int) -> Blur:
        """The operator behind `lowpass`."""
        return Blur(self.kernel, self.ratio, (1, bands, rows, cols))

    def upsample(self, image: Tensor) -> Tensor:
        """(c, h, w) interpolated to (c, H, W) by cubic convolution, the kernel's displacement undone."""
        bands, rows, cols = image.shape
        return Upsample(self.ratio, (1, bands, rows, cols), shift=self.centre)(image[None])[0]

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {field.name: torch.as_tensor(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        given = {field.name: tensors[field.name] for field in fields(cls) if field.name != "ratio"}
        return cls(**given, ratio=int(tensors["ratio"]))

    def to(self, like: Tensor) -> Self:
        """The same in the dtype and on the device of a tensor."""
        return self.of({name: t.to(like) if name != "ratio" else t for name, t in self.tensors().items()})
