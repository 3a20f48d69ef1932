"""Metric: a formula with its facts, its masks and its averages.

An image is one date (band, y, x). What can be said about one band and date is averaged over bands, then over
dates. What cannot be said (a correlation with a constant band, say) is left out of that average, and when
nothing is left the value is None: never NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["Direction", "Metric", "Pair", "average", "by_band", "pair"]

Direction = Literal["higher", "lower"]
"""Which values are the better ones."""

_PART = 1 << 20
"""Values in one part: 8 MB in float64, so that a formula's temporaries stay near 0.1 GB."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One date of an answer and of the truth: only bands that hold a signal, gaps set to zero in both."""

    image: Tensor
    """(band, y, x) the answer, reflectance."""

    truth: Tensor
    """(band, y, x) the truth, reflectance."""

    mask: Tensor
    """(band, y, x) bool, pixels to be scored."""

    ratio: int
    """Target pixels along one side of a coarse pixel; ERGAS alone asks for it."""

    def parts(self) -> Iterator[Pair]:
        """The same in float64, a few bands at a time."""
        bands, rows, cols = self.truth.shape
        step = max(1, _PART // max(1, rows * cols))
        for first in range(0, bands, step):
            these = slice(first, first + step)
            image, truth = self.image[these].double(), self.truth[these].double()
            yield Pair(image, truth, self.mask[these], self.ratio)


@dataclass(frozen=True)
class Metric:
    """What a number means, and how it is computed."""

    name: str
    """Key in tables and JSON."""

    title: str
    """The name in words."""

    unit: str
    """dB, degree, reflectance, or 1 for a plain number."""

    ideal: float
    """Value of a perfect answer, in that unit."""

    direction: Direction
    """Which values are the better ones."""

    convention: str
    """Peak, range, window, what is averaged, and what becomes of degenerate input."""

    source: str
    """The paper."""

    formula: Callable[[Pair], float | None] = field(repr=False)
    """Value of one date; None when nothing can be said."""

    def __call__(
        self, image: Tensor, truth: Tensor, *, ratio: int = 1, valid: Tensor | None = None
    ) -> float | None:
        """The value of one date (band, y, x), or the mean over the dates of a series (time, band, y, x).

        Parameters
        ----------
        valid
            bool, broadcastable to the truth: what is to be scored; None: everything.

        Raises
        ------
        ProblemError
            When the shapes differ, or a pixel to be scored is not finite.
        """
        if truth.dim() == 3:
            return self.formula(pair(image, truth, ratio=ratio, valid=valid))
        masks = [None] * len(truth) if valid is None else valid.expand(truth.shape)
        dates = zip(_like(image, truth), truth, masks, strict=True)
        return average([self.formula(pair(a, t, ratio=ratio, valid=m)) for a, t, m in dates])

    def better(self, a: float, b: float) -> bool:
        """Whether a is strictly the better value."""
        return a > b if self.direction == "higher" else a < b


def pair(image: Tensor, truth: Tensor, *, ratio: int = 1, valid: Tensor | None = None) -> Pair:
    """One date made ready: shapes and numbers checked, gaps zeroed, bands without signal dropped.

    A band has no signal when the truth is zero wherever it is to be scored.

    Raises
    ------
    ProblemError
        When the shapes differ, or a pixel to be scored is not finite.
    """
    _like(image, truth)
    mask = torch.ones_like(truth, dtype=torch.bool) if valid is None else valid.expand(truth.shape)
    image, truth = (x.detach() if valid is None else x.detach().where(mask, 0) for x in (image, truth))
    for name, x in (("answer", image), ("truth", truth)):
        if not bool(torch.isfinite(x).all()):
            raise ProblemError(
                f"scores, {name}",
                expected="finite numbers wherever it is scored",
                got="NaN or infinity",
                mend="Mark the gaps in `valid`, or mend the method that left them.",
            )
    signal = (truth != 0).flatten(1).any(1)
    if bool(signal.all()):
        return Pair(image, truth, mask, ratio)
    return Pair(image[signal], truth[signal], mask[signal], ratio)


def _like(image: Tensor, truth: Tensor) -> Tensor:
    if image.shape != truth.shape:
        raise ProblemError(
            "scores", expected=f"an answer of shape {tuple(truth.shape)}", got=f"{tuple(image.shape)}"
        )
    return image


def average(values: list[float | None]) -> float | None:
    """Mean of what could be said; None when there is nothing."""
    said = [value for value in values if value is not None]
    return sum(said) / len(said) if said else None


def by_band(values: Callable[[Pair], Tensor]) -> Callable[[Pair], float | None]:
    """Formula of a date: the mean over bands of a (band,) result in which NaN means 'cannot be said'."""

    def formula(date: Pair) -> float | None:
        said = torch.cat([values(part) for part in date.parts()]).tolist() if len(date.truth) else []
        return average([None if value != value else value for value in said])

    return formula
