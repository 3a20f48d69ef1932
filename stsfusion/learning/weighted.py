"""Weighted: a series summed from weighted images, date by date, and how far they lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["Weighted"]


@dataclass(eq=False)
class Weighted:
    """A series that is summed from weighted images, with the variance of such a mixture."""

    values: Tensor
    """(time, L, H, W)."""

    variance: Tensor | None
    """The same; None: not asked for."""

    weight: list[float]
    """(time,) summed so far."""

    @classmethod
    def empty(cls, values: Tensor, sigma: bool) -> Self:
        """Nothing yet."""
        return cls(values, torch.zeros_like(values) if sigma else None, [0.0] * len(values))

    def add(self, k: int, image: Tensor, sigma: Tensor | None, share: float) -> None:
        """Add one image to a date; two that differ make the date between them less certain.

        Source: West (1979), updating of a weighted mean and variance.
        """
        before = self.weight[k]
        if self.variance is not None and sigma is not None:
            self.variance[k].add_(sigma.square(), alpha=share)
            if before > 0:
                apart = image - self.values[k] / before
                self.variance[k].add_(apart.square(), alpha=share * before / (before + share))
        self.values[k].add_(image, alpha=share)
        self.weight[k] = before + share

    def put(self, k: int, image: Tensor, sigma: Tensor | None, where: Tensor) -> None:
        """An image in place of what was summed of a date, at the pixels (H, W) that are asked for."""
        self.values[k] = torch.where(where, image, self.values[k])
        if self.variance is not None and sigma is not None:
            self.variance[k] = torch.where(where, sigma.square(), self.variance[k])

    def sigma(self) -> Tensor | None:
        """(time, L, H, W) standard deviation."""
        return None if self.variance is None else self.variance.sqrt_()
