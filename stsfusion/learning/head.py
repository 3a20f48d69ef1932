"""Head: the closed-form answer per pixel, linear in the features; what a network is to improve on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.features import Layout
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

    @classmethod
    def learn(
        cls,
        seen: Iterable[Sample],
        unseen: Iterable[Sample],
        layout: Layout,
        *,
        penalty: float,
        curved: bool,
    ) -> Self:
        """Least squares over all samples; a regression without any sample is replaced by the other.

        Parameters
        ----------
        seen, unseen
            Samples of dates that were seen, and of dates that were hidden.
        layout
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
        return cls(first or second or scores, second or first or scores)

    def __call__(self, x: Tensor, layout: Layout) -> Tensor:
        """(time, K, y, x) scores."""
        values, seen = x[:, : len(self.seen.slope)], x[:, layout.seen : layout.seen + 1]
        return seen * self.seen(values) + (1.0 - seen) * self.unseen(values)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {
            "seen_slope": self.seen.slope,
            "seen_offset": self.seen.offset,
            "unseen_slope": self.unseen.slope,
            "unseen_offset": self.unseen.offset,
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(
            Affine(tensors["seen_slope"], tensors["seen_offset"]),
            Affine(tensors["unseen_slope"], tensors["unseen_offset"]),
        )


def _regress(samples: Iterable[Sample], inputs: int, penalty: float) -> Affine | None:
    total: Sums | None = None
    for x, y, weight in samples:
        part = Sums.of(x[:, :inputs], y, weight)
        total = part if total is None else total + part
    return None if total is None or float(total.count) == 0.0 else total.solve(penalty)
