"""Answer: what a method gives back, full or factored, small enough to hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.operators.linear import Shape
from stsfusion.operators.resample import upsample

__all__ = ["Answer", "Deviations", "Factored", "Quality"]


class Quality(IntEnum):
    """How a pixel of a date came to be."""

    NO_DATA = 0
    """Nothing was known, and what stands in `values` means nothing."""

    OBSERVED = 1
    """The rich sensor saw this date here, and the pixel was only sharpened."""

    FUSED = 2
    """Made from other sensors' observations of this very date."""

    INTERPOLATED = 3
    """No sensor saw this date here; made from dates before and after."""

    EXTRAPOLATED = 4
    """No sensor saw this date here, and it lies outside the observed dates."""

    FILLED = 5
    """Nothing was known; a plausible number stands here."""


@dataclass(frozen=True, eq=False)
class Factored:
    """values = mean + coefficients · basis + upsampled residual: a cube of low rank."""

    coefficients: Tensor
    """(time, K, y, x) maps, no unit."""

    basis: Tensor
    """(K, band) spectra, reflectance."""

    mean: Tensor
    """(band,) reflectance."""

    residual: Tensor | None = None
    """(time, band, y/r, x/r) what the basis leaves out, reflectance, on a coarse grid; bicubic."""

    @property
    def shape(self) -> Shape:
        """(time, band, y, x) of the full cube."""
        time, _, y, x = self.coefficients.shape
        return time, self.basis.shape[1], y, x

    def date(self, i: int) -> Tensor:
        """(band, y, x) of one date."""
        full = (self.basis.T @ self.coefficients[i].flatten(1)).unflatten(1, self.coefficients.shape[2:])
        full.add_(self.mean[:, None, None])
        if self.residual is None:
            return full
        ratio = self.coefficients.shape[2] // self.residual.shape[2]
        return full + upsample(self.residual[i : i + 1], ratio)[0]


class Deviations(ABC):
    """Standard deviations made one date at a time, when they are asked for: whole they would be large."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """(time, band, y, x)."""

    @abstractmethod
    def date(self, i: int) -> Tensor:
        """(band, y, x) of one date, reflectance."""


@dataclass(frozen=True, eq=False)
class Answer:
    """A fused cube with its quality and, where the method knows it, its uncertainty."""

    values: Tensor | Factored
    """(time, band, y, x) reflectance, or its factors."""

    quality: Tensor
    """(time, 1, y, x) uint8, see Quality."""

    deviations: Tensor | Deviations | None = None
    """Standard deviation, reflectance, broadcastable to values, or made by date; None: it is not said."""

    def __post_init__(self) -> None:
        time, _, y, x = self.shape
        if tuple(self.quality.shape) != (time, 1, y, x):
            raise ProblemError(
                "answer quality", expected=f"shape {(time, 1, y, x)}", got=f"{tuple(self.quality.shape)}"
            )

    @property
    def shape(self) -> Shape:
        """(time, band, y, x)."""
        if isinstance(self.values, Factored):
            return self.values.shape
        time, band, y, x = self.values.shape
        return time, band, y, x

    def date(self, i: int) -> Tensor:
        """(band, y, x) of one date in full, so that a large answer is never expanded at once."""
        return self.values.date(i) if isinstance(self.values, Factored) else self.values[i]

    def sigma_of(self, i: int) -> Tensor | None:
        """(band, y, x) standard deviation of one date; None: the method does not say."""
        if isinstance(self.deviations, Deviations):
            return self.deviations.date(i)
        return None if self.deviations is None else self.deviations.expand(self.shape)[i]

    @property
    def sigma(self) -> Tensor | None:
        """Standard deviation, broadcastable to values, of all dates at once; for small cubes and tests."""
        if not isinstance(self.deviations, Deviations):
            return self.deviations
        return torch.stack([self.deviations.date(i) for i in range(self.shape[0])])

    def full(self) -> Tensor:
        """(time, band, y, x) expanded; for small cubes and tests."""
        if not isinstance(self.values, Factored):
            return self.values
        return torch.stack([self.date(i) for i in range(self.shape[0])])
