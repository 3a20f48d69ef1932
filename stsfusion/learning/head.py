"""Head: the closed-form answer per pixel, linear in the features; what a network refines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.features import Layout, products
from stsfusion.learning.ridge import Affine, Sums

__all__ = ["Head", "Sample"]

Sample = tuple[Tensor, Tensor, Tensor]
"""(time, Layout.channels, y, x) features, (time, K, y, x) wanted scores, (time, 1, y, x) weight."""


@dataclass(frozen=True, eq=False)
class Head:
    """Scores from features by one ridge regression where the date was seen and another where it was not."""

    seen: Affine
    """For dates and pixels of the hyperspectral sensor."""

    unseen: Affine
    """For those between."""

    layout: Layout
    """Of the features."""

    axes: Tensor
    """(d, q) from dense bands to the components whose products it may use."""

    @classmethod
    def learn(
        cls,
        seen: Iterable[Sample],
        unseen: Iterable[Sample],
        layout: Layout,
        axes: Tensor,
        *,
        penalty: float,
        curved: bool,
    ) -> Self:
        """Least squares over all samples; a regression without any sample is replaced by the other.

        Parameters
        ----------
        seen, unseen
            Samples of dates that were seen, and of dates that were hidden.
        layout, axes
            Of the features.
        penalty
            Of the ridge, as a share of the standardised variance.
        curved
            Whether the products may be used.
        """
        inputs = layout.values if curved else layout.linear
        first = _regress(seen, inputs, penalty)
        second = _regress(unseen, inputs, penalty)
        scores = Affine(torch.eye(inputs, layout.rank), torch.zeros(layout.rank))
        return cls(first or second or scores, second or first or scores, layout, axes)

    def __call__(self, x: Tensor) -> Tensor:
        """(time, K, y, x) scores of (time, Layout.channels, y, x) features."""
        values, seen = x[:, : len(self.seen.slope)], x[:, self.layout.seen : self.layout.seen + 1]
        return seen * self.seen(values) + (1.0 - seen) * self.unseen(values)

    def revised(self, x: Tensor, now: Tensor) -> Tensor:
        """The answer when the dense bands at the target's pixels are known better."""
        names = ("scores", "between", "low", "sharp", "codes")
        scores, between, low, sharp, codes = (x[:, self.layout.part(name)] for name in names)
        return self(torch.cat([scores, now, between, low, sharp, products(now, self.axes), codes], 1))

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {
            "seen_slope": self.seen.slope,
            "seen_offset": self.seen.offset,
            "unseen_slope": self.unseen.slope,
            "unseen_offset": self.unseen.offset,
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], layout: Layout, axes: Tensor) -> Self:
        """The one that `tensors` came from."""
        return cls(
            Affine(tensors["seen_slope"], tensors["seen_offset"]),
            Affine(tensors["unseen_slope"], tensors["unseen_offset"]),
            layout,
            axes,
        )


def _regress(samples: Iterable[Sample], inputs: int, penalty: float) -> Affine | None:
    total: Sums | None = None
    for x, y, weight in samples:
        part = Sums.of(x[:, :inputs], y, weight)
        total = part if total is None else total + part
    return None if total is None or float(total.count) == 0.0 else total.solve(penalty)
