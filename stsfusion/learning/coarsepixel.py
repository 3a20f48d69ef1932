"""CoarsePixel: the pixel of the coarse sensor that lies over a fine one, on any grid that it was brought to.

::

    aligned   the coarse grid is the data's own: a fine pixel belongs to its block      | a a a | b b b |
    sliding   the data were resampled to the fine grid: every fine pixel is the middle
              of a coarse pixel of its own, an odd number of fine pixels wide             · · x · ·
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stsfusion.learning.looks import Looks
from stsfusion.operators.resample import blocks

__all__ = ["CoarsePixel", "box_mean", "resolved", "width_of"]

_WIDEST = 81
"""Fine pixels of the widest coarse pixel that is looked for."""

_ENOUGH = 24
"""Images that widths are found from."""

_NOTHING = 1e-12
"""Weight that is none."""


def box_mean(image: Tensor, size: int, weight: Tensor | None = None) -> Tensor:
    """(…, y, x) weighted mean over the size × size pixels around each, as far as they are in the image.

    Parameters
    ----------
    size
        An odd number of pixels.
    weight
        (…, y, x), broadcastable, not negative; or bool. Where it is zero in all of a box so is the mean.
    """
    if size == 1 and weight is None:
        return image
    share = torch.ones_like(image[..., :1, :, :]) if weight is None else weight.expand_as(image).to(image)
    return _box(image * share, size) / _box(share, size).clamp_min(_NOTHING)


def _box(image: Tensor, size: int) -> Tensor:
    """Sums over boxes divided by size², zero beyond the edges; a row, then a column."""
    flat = image.reshape(1, -1, *image.shape[-2:])
    tall = avg_pool2d(flat, (size, 1), 1, (size // 2, 0))
    return avg_pool2d(tall, (1, size), 1, (0, size // 2)).reshape(image.shape)


@dataclass(frozen=True)
class CoarsePixel:
    """A coarse pixel's width, and whether its grid is known."""

    size: int
    """Fine pixels along one side; odd where it slides."""

    aligned: bool
    """Whether coarse pixels are the blocks of the fine grid."""

    @classmethod
    def of(cls, size: int, ratio: int) -> CoarsePixel:
        """For a sensor whose data have this ratio; of another size they slide, rounded up to odd."""
        return cls(size, True) if size == ratio else cls(size | 1, False)

    @property
    def reach(self) -> int:
        """Fine pixels that `mean` looks at on every side."""
        return self.size - 1 if self.aligned else self.size // 2

    def mean(self, image: Tensor) -> Tensor:
        """(c, y, x) to the mean over the coarse pixel of every fine one."""
        if not self.aligned:
            return box_mean(image, self.size)
        return blocks(avg_pool2d(image[None], self.size)[0], self.size)

    def samples(self, image: Tensor) -> Tensor:
        """(c, y, x) to means over coarse pixels that do not overlap, (c, n)."""
        return avg_pool2d(image[None], self.size)[0].flatten(1)

    def at(self, image: Tensor) -> Tensor:
        """(c, n) what the sensor saw of those pixels, from its image: on its own grid where aligned."""
        if self.aligned:
            return image.flatten(1)
        rows, cols = (length // self.size * self.size for length in image.shape[1:])
        half = self.size // 2
        return image[:, half : rows : self.size, half : cols : self.size].flatten(1)


def width_of(asked: int, tiles: Sequence[Looks], dates: Sequence[Sequence[int]]) -> int:
    """Fine pixels along one side of a coarse one: asked for, the data's ratio, or found by `resolved`.

    Parameters
    ----------
    asked
        A width that settles it; 0 where none is known.
    dates
        For each tile the dates that both sensors saw.
    """
    if asked:
        return asked
    if tiles[0].ratio > 1:
        return tiles[0].ratio
    places = [(tile, date) for tile, seen in zip(tiles, dates, strict=True) for date in seen]
    bases = [tile.base(date) for tile, date in places[:: -(-len(places) // _ENOUGH)]]
    return resolved([(base.fine, base.coarse, base.known) for base in bases])


def resolved(pairs: Sequence[tuple[Tensor, Tensor, Tensor]]) -> int:
    """How many fine pixels wide the pixels are of a coarse sensor whose images were resampled.

    The odd width at which the fine image, averaged over boxes, becomes as smooth as the coarse one; smooth
    is the mean square of steps between neighbours, over the variance, averaged over bands and images as
    logarithms. Displacement between both, and gain and offset, do not matter.

    Parameters
    ----------
    pairs
        Any number of images: fine (b, y, x), coarse (b, y, x) on the same grid, valid (y, x) bool.

    Returns
    -------
    int
        An odd number from 1 to 81, 1 when the images cannot tell.
    """
    target = _smoothness([(coarse, valid) for _, coarse, valid in pairs])
    low, high = 0, _WIDEST // 2
    if _smoother(pairs, target, 0):
        return 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _smoother(pairs, target, middle) else (middle, high)
    return 2 * high + 1


def _smoother(pairs: Sequence[tuple[Tensor, Tensor, Tensor]], target: Tensor, half: int) -> bool:
    """Whether boxes of 2·half + 1 leave the fine images no rougher than the coarse ones, or none can tell."""
    size = 2 * half + 1
    ours = _smoothness([(box_mean(fine, size, valid), valid) for fine, _, valid in pairs])
    known = torch.isfinite(ours) & torch.isfinite(target)
    return not bool(known.any()) or float((ours - target)[known].mean()) <= 0.0


def _smoothness(images: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """(n · b,) logarithms of the mean square step over the variance; not finite where nothing varies."""
    return torch.cat([_roughness(image.double(), valid) for image, valid in images])


def _roughness(image: Tensor, valid: Tensor) -> Tensor:
    if not bool(valid.any()):
        return torch.full_like(image[:, 0, 0], torch.nan)
    known = image[:, valid]
    across = _steps(image, valid, lambda x: (x[..., 1:], x[..., :-1]))
    down = _steps(image, valid, lambda x: (x[..., 1:, :], x[..., :-1, :]))
    return torch.log((across + down) / known.var(1, correction=0))


def _steps(image: Tensor, valid: Tensor, cut: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """(b,) mean squares of the differences between neighbours that are both valid."""
    (one, other), (here, there) = cut(image), cut(valid)
    return (one - other)[:, here & there].square().mean(1)
