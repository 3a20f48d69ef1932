"""Joint noise: what the images of a sensor err by from pixel to pixel, where nobody states it.

::

    hyperspectral       what bands beside it in the spectrum cannot tell of a band
    multispectral       what the other bands cannot tell of a band's finest texture

Source: the estimators as in `learning.signal`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.live import live_bands
from stsfusion.learning.signal import neighbour_noise, texture_noise

__all__ = ["FEW", "clear_of", "texture", "unstated_noise"]

FEW = 100
"""Pixels, of all dates together, below which nothing is told by them."""

_LEAST = 1e-3
"""Least noise, in what images vary by."""

_PIECE = 12
"""Pixels along a side of the squares in which noise is looked for where there are gaps."""


def unstated_noise(problems: Sequence[Problem], role: Role) -> Tensor | None:
    """(b,) standard deviation that neighbours cannot tell, reflectance; None where the noise is stated, or
    nothing can be said of it.

    Parameters
    ----------
    problems
        Tiles of one region.
    role
        Whose noise; it must be a role of the first tile.
    """
    seen = [problem.observations[role] for problem in problems if role in problem.observations]
    if all(each.noise is not None and bool((each.noise > 0).all()) for each in seen):
        return None
    live = live_bands(seen)
    nm = problems[0].target.wavelengths
    found = _across(seen, live, nm) if role == "rich" else texture(seen, live)
    if found is None:
        return None
    pixels = [image[live][:, mask].flatten() for image, mask in _images(seen, live)]
    return found.clamp_min(max(_LEAST * float(torch.cat(pixels).std()), 1e-9)).float()


def _across(seen: Sequence[Observation], live: Tensor, nm: Tensor) -> Tensor | None:
    """(b,) what the bands beside it in the spectrum cannot tell of a band; zero of dead ones."""
    pixels = torch.cat([image[live][:, mask] for image, mask in _images(seen, live)], 1)
    if pixels.shape[1] < FEW:
        return None
    out = torch.zeros(len(live), dtype=torch.float64)
    out[live] = neighbour_noise(pixels.T, nm.to(pixels.device)[live]).cpu()
    return out


def texture(seen: Sequence[Observation], live: Tensor) -> Tensor | None:
    """(b,) what the other bands cannot tell of a band's finest texture; zero of dead ones."""
    whole = [piece for image, mask in _images(seen, live) for piece in _pieces(image[live], mask)]
    if sum(piece[0].numel() for piece in whole) < FEW:
        return None
    out = torch.zeros(len(live), dtype=torch.float64)
    out[live] = texture_noise(whole).cpu()
    return out


def _images(seen: Sequence[Observation], live: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(b, y, x) of every date and tile, with its (y, x) mask."""
    return [pair for each in seen for pair in zip(each.data, clear_of(each, live), strict=True)]


def _pieces(image: Tensor, mask: Tensor) -> list[Tensor]:
    """An image without gaps, or those of its squares that have none."""
    if bool(mask.all()):
        return [image]
    rows, cols = (range(0, length, _PIECE) for length in mask.shape)
    squares = [(slice(y, y + _PIECE), slice(x, x + _PIECE)) for y in rows for x in cols]
    return [image[:, y, x] for y, x in squares if bool(mask[y, x].all())]


def clear_of(seen: Observation, live: Tensor) -> Tensor:
    """(t, y, x) bool: pixels of which all live bands are valid."""
    mask = seen.valid.expand(len(seen.data), -1, *seen.data.shape[2:])
    return (mask[:, live] if mask.shape[1] > 1 else mask).all(1)
