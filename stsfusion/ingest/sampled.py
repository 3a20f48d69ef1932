"""Sampled: pixels of scenes, read in windows that lie evenly over them; no more is ever held.

Two images are read at the same places, the finer one averaged to the pixels of the coarser.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.mosaic import Member, cleared, mosaic
from stsfusion.ingest.spread import begins, means
from stsfusion.ingest.view import Part
from stsfusion.sensing.scene import Scene
from stsfusion.window import Interval

__all__ = ["Image", "Values", "of_day", "of_scene", "places", "sampled"]

_SIDE = 48
"""Pixels along one side of a window."""

_ACROSS = 5
"""Windows along one axis at most."""

_MOST = 20_000
"""Pixels at most."""

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """Something that can be read on the base grid, coarsened."""

    read: Callable[[Interval, Interval], Part]
    """Of rows and columns of its own grid."""

    ratio: int
    """Base pixels along one of its pixels."""

    weights: Values | None = None
    """(band', band) what is made of its bands; None: they stay."""


def of_scene(member: Member, spec: CubeSpec, ratio: int, test: bool) -> Image:
    """One scene, without cloud."""
    return Image(lambda rows, cols: cleared(member, spec.grid, rows, cols, test), ratio)


def of_day(
    members: Sequence[Member], spec: CubeSpec, ratio: int, test: bool, weights: Values | None = None
) -> Image:
    """All scenes of a day, as their cube will show them."""
    return Image(lambda rows, cols: mosaic(members, spec, rows, cols, test), ratio, weights)


def places(groups: Sequence[Sequence[Scene]], grid: Grid) -> list[tuple[Interval, Interval]]:
    """Windows where each of some groups of scenes has one that may see something; none where they part."""
    rows, cols = (0, grid.shape[0]), (0, grid.shape[1])
    for group in groups:
        boxes = [pixels_of(scene, grid) for scene in group]
        rows, cols = (_common(span, [box[i] for box in boxes]) for i, span in enumerate((rows, cols)))
    side = min(_SIDE, rows[1] - rows[0], cols[1] - cols[0])
    if side < 1:
        return []
    tops, lefts = (begins(span, side, _ACROSS) for span in (rows, cols))
    return [((top, top + side), (left, left + side)) for top, left in product(tops, lefts)]


def _common(span: Interval, others: Sequence[Interval]) -> Interval:
    """What of a span lies between the first and the last of others."""
    return max(span[0], min(first for first, _ in others)), min(span[1], max(last for _, last in others))


def sampled(
    images: Sequence[Image], windows: Sequence[tuple[Interval, Interval]]
) -> list[tuple[Values, Mask]]:
    """(band, pixel) reflectance of each image at the same places, and where it is known.

    Parameters
    ----------
    windows
        On the grid of the coarsest pixel that is whole for all.
    """
    whole = math.lcm(*(image.ratio for image in images))
    stride = max(1, math.ceil(sum((r[1] - r[0]) * (c[1] - c[0]) for r, c in windows) / _MOST))
    found = []
    for image in images:
        parts = [_pixels(image, whole // image.ratio, *window) for window in windows]
        values, valid = (np.concatenate([part[i] for part in parts], axis=1)[:, ::stride] for i in (0, 1))
        found.append((values, valid.astype(bool)))
    return found


def _pixels(image: Image, ratio: int, rows: Interval, cols: Interval) -> tuple[Values, Mask]:
    """(band, pixel) of one window."""
    part = image.read((ratio * rows[0], ratio * rows[1]), (ratio * cols[0], ratio * cols[1]))
    values, valid = means(part.reflectance, ratio), means(part.valid, ratio) == 1.0
    values, valid = values.reshape(len(values), -1), valid.reshape(len(valid), -1)
    if image.weights is None:
        return values, valid
    lost = (image.weights > 0).astype(float) @ ~valid
    return image.weights @ np.where(valid, values, 0.0), np.asarray(lost == 0)
