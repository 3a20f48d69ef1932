"""Register: by how much an image lies beside a reference, in parts of a pixel, and how sure that is.

In each of many windows the offset d is sought by which two images agree best up to brightness and contrast,

    image(p + d) ≈ a · reference(p) + b

first in whole pixels by the peak of their correlation, then by Gauss–Newton steps on d, a and b together.
Both are smoothed first: what is finer than three pixels is noise, aliasing, or moved wrongly by any short
kernel. Both are moved by half of d towards each other, and so altered alike. The scene's offset is the
median of its windows, and their spread tells what it is worth.

Source: Lucas & Kanade (1981), Proc. 7th IJCAI, pp. 674–679, for the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Registration", "Vector", "register", "translated", "vector_between"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Status = Literal["good", "large", "uncertain", "nothing to compare"]

_STEPS = 12
_STILL = 1e-3
"""Steps of the refinement, and the part of a pixel at which it rests."""

_SMOOTH = 1.0
_WIDE = 4
"""Deviation of the Gaussian that both images are smoothed by, and how far it reaches, pixels."""

_ALIKE = 0.5
"""Correlation under which a window has no say."""

_CLEAR = 0.6
"""Share of a window that both images must see."""

_LEAST = 3
"""Windows that a scene's offset is made of at least."""


@dataclass(frozen=True)
class Vector:
    """What one window says."""

    row: float
    """Middle of the window, pixels."""

    col: float
    """Middle of the window, pixels."""

    down: float
    """Pixels by which the image's content lies further down than the reference's."""

    right: float
    """The same to the right."""

    alike: float
    """Correlation of the two after moving, −1 to 1."""


@dataclass(frozen=True)
class Registration:
    """What the windows of a scene say together."""

    down: float
    """Median, pixels; 0 where there is nothing to compare."""

    right: float
    """Median, pixels."""

    spread: float
    """Of single windows about the median, pixels: 1.4826 times the median distance."""

    status: Status
    """'good'; 'large' beyond the threshold; 'uncertain' when windows disagree or are few."""

    vectors: tuple[Vector, ...]
    """The windows that had a say."""

    @property
    def length(self) -> float:
        """Pixels."""
        return float(np.hypot(self.down, self.right))


def register(
    reference: Array,
    image: Array,
    valid: Mask | None = None,
    *,
    window: int = 96,
    largest: float = 8.0,
    threshold: float = 3.0,
    agreement: float = 0.5,
) -> Registration:
    """Measure one image against another of the same grid.

    Parameters
    ----------
    reference, image
        (y, x) one band each that shows the same things, as the same band of two sensors.
    valid
        (y, x) where both are seen; None: everywhere.
    window
        Pixels along one side of a window.
    largest
        Offset beyond which none is looked for, pixels.
    threshold
        Offset beyond which the status is 'large', pixels.
    agreement
        Spread beyond which it is 'uncertain', pixels.
    """
    seen = np.isfinite(reference) & np.isfinite(image) & (True if valid is None else valid)
    vectors = tuple(_vectors(reference, image, seen, window, largest))
    if not vectors:
        return Registration(0.0, 0.0, 0.0, "nothing to compare", ())
    offsets = np.array([(one.down, one.right) for one in vectors])
    middle = np.median(offsets, axis=0)
    spread = 1.4826 * float(np.median(np.hypot(*(offsets - middle).T)))
    status: Status = "good"
    if len(vectors) < min(_LEAST, _count(reference.shape, window)) or spread > agreement:
        status = "uncertain"
    elif np.hypot(*middle) > threshold:
        status = "large"
    return Registration(float(middle[0]), float(middle[1]), spread, status, vectors)


def _count(shape: tuple[int, ...], window: int) -> int:
    return max(1, shape[0] // window) * max(1, shape[1] // window)


def _vectors(reference: Array, image: Array, seen: Mask, window: int, largest: float) -> Iterator[Vector]:
    """Windows side by side that are seen, structured and alike."""
    rows, cols = reference.shape
    for top in _begins(rows, window):
        for left in _begins(cols, window):
            place = slice(top, min(top + window, rows)), slice(left, min(left + window, cols))
            if seen[place].mean() < _CLEAR:
                continue
            found = vector_between(reference[place], image[place], seen[place], largest)
            if found is not None and found.alike >= _ALIKE:
                yield Vector(top + found.row, left + found.col, found.down, found.right, found.alike)


def _begins(size: int, window: int) -> list[int]:
    """First pixels of windows that lie evenly over a side."""
    count = max(1, size // window)
    return [round(i * (size - window) / max(1, count - 1)) if size > window else 0 for i in range(count)]


def vector_between(reference: Array, image: Array, seen: Mask, largest: float = 8.0) -> Vector | None:
    """The offset of one window; None where there is no structure, or no offset within `largest`.

    Parameters
    ----------
    reference, image
        (y, x) alike in size.
    seen
        (y, x) where both are seen.
    """
    first, second = (_levelled(one, seen) for one in (reference, image))
    if first is None or second is None:
        return None
    down, right = _peak(first, second, largest)
    for _ in range(_STEPS):
        step, alike = _step(first, second, seen, down, right)
        down, right = down + step[0], right + step[1]
        if not np.hypot(down, right) <= 1.5 * largest + 1:
            return None
        if np.hypot(*step) < _STILL:
            break
    if np.hypot(down, right) > largest:
        return None
    rows, cols = reference.shape
    return Vector(rows / 2, cols / 2, down, right, alike)


def _levelled(image: Array, seen: Mask) -> Array | None:
    """Zero mean, unit deviation, zero where not seen; None for a flat one."""
    values = image[seen]
    image = _smoothed(np.where(seen, image, 0.0)) / np.maximum(_smoothed(seen.astype(float)), 1e-6)
    if values.size < 64 or not (deviation := float(values.std())) > 1e-6 * max(
        1e-12, float(np.abs(values).max())
    ):
        return None
    return np.where(seen, (image - values.mean()) / deviation, 0.0)


def _smoothed(image: Array) -> Array:
    """A Gaussian of one pixel's deviation, along one axis after the other; edges go on."""
    weights = np.exp(-0.5 * np.arange(-_WIDE, _WIDE + 1) ** 2 / _SMOOTH**2)
    for axis in (0, 1):
        around = [(_WIDE, _WIDE) if one == axis else (0, 0) for one in (0, 1)]
        padded = np.pad(image, around, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, weights.size, axis)
        image = windows @ (weights / weights.sum())
    return image


def _peak(first: Array, second: Array, largest: float) -> tuple[float, float]:
    """The whole-pixel offset of best correlation, ends not joined."""
    shape = [2 * size for size in first.shape]
    product = np.conj(np.fft.rfft2(first, shape)) * np.fft.rfft2(second, shape)
    correlation = np.fft.irfft2(product, shape)
    reach = int(np.ceil(largest))
    offsets = np.arange(-reach, reach + 1)
    near = correlation[np.ix_(offsets % shape[0], offsets % shape[1])]
    # What is further off overlaps less: without this the peak leans to the middle.
    rows, cols = (1 - np.abs(offsets) / size for size in first.shape)
    at = np.unravel_index(int(np.argmax(near / np.outer(rows, cols))), near.shape)
    return float(offsets[at[0]]), float(offsets[at[1]])


def _step(
    first: Array, second: Array, seen: Mask, down: float, right: float
) -> tuple[tuple[float, float], float]:
    """One Gauss–Newton step on the offset, and the correlation before it."""
    half = down / 2, right / 2
    left_one = translated(first, -half[0], -half[1])
    right_one = translated(second, *half)
    weight = translated(seen.astype(float), -half[0], -half[1]) * translated(seen.astype(float), *half)
    inside = weight > 0.999
    edge = int(np.ceil(max(abs(down), abs(right)) / 2)) + 3
    inside[:edge], inside[-edge:], inside[:, :edge], inside[:, -edge:] = False, False, False, False
    if inside.sum() < 64:
        return (np.inf, np.inf), -1.0
    slope_down, slope_right = (np.asarray(one) for one in np.gradient((left_one + right_one) / 2))
    columns = np.stack(
        [one[inside] for one in (slope_down, slope_right, left_one)] + [np.ones(int(inside.sum()))], axis=1
    )
    solution: Array = np.asarray(np.linalg.lstsq(columns, right_one[inside], rcond=None)[0])
    alike = _correlation(left_one[inside], right_one[inside])
    # image(p + d + δ) ≈ image(p + d) + slope · δ: what is left over is a step back.
    return (-float(solution[0]), -float(solution[1])), alike


def _correlation(one: Array, other: Array) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-12, float(np.sqrt((one**2).sum() * (other**2).sum()))))


def translated(image: Array, down: float, right: float) -> Array:
    """image(p + (down, right)) by cubic convolution; beyond the edges the last pixels go on."""
    for axis, offset in ((0, down), (1, right)):
        whole = int(np.floor(offset))
        image = _convolved(image, axis, whole, offset - whole)
    return image


def _convolved(image: Array, axis: int, whole: int, t: float) -> Array:
    """Catmull–Rom weights on four neighbours along one axis."""
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (t**3 - t**2) / 2,
    )
    positions = np.arange(image.shape[axis])
    total = np.zeros_like(image)
    for near, weight in zip((-1, 0, 1, 2), weights, strict=True):
        total += weight * image.take(np.clip(positions + whole + near, 0, image.shape[axis] - 1), axis)
    return total
