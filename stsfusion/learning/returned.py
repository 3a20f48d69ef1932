"""Returned: what a fit leaves over on the coarse grid, brought back to the fine one.

::

    r ─┬─ Kriging      by distance, every channel as far as it is correlated ─┐
       └─ Lookalikes   by distance and likeness, all channels alike ──────────┴─ their mean

Where no pixel near may be believed, nothing looks alike, and kriging has all the say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from stsfusion.learning.kept import joined, under
from stsfusion.learning.kriging import Field, Kriging
from stsfusion.learning.lookalikes import REACH, Lookalikes
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Returned"]


@dataclass(frozen=True, eq=False)
class Returned:
    """Both ways."""

    kriging: Kriging
    """By distance."""

    lookalikes: Lookalikes
    """By likeness."""

    @classmethod
    def learn(
        cls,
        residuals: Sequence[Tensor],
        clear: Sequence[Tensor],
        noise: Tensor,
        fields: Sequence[Field],
    ) -> Self:
        """From the residuals themselves.

        Parameters
        ----------
        residuals, clear
            Tiles (p, h, w), and the (h, w) masks of the pixels to count.
        noise
            (p,) variance of the noise in the residuals.
        fields
            That are tried; see `Field.tried`.
        """
        return cls(Kriging.learn(residuals, clear, noise, fields), Lookalikes.learn(residuals, clear, noise))

    def __call__(self, residual: Tensor, clear: Tensor, looks: Tensor, model: PairModel) -> Tensor:
        """(p, h, w) of which (h, w) are clear to (p, H, W), where the image has (2 k, H, W) looks."""
        alike = self.lookalikes(residual, clear, looks[: len(looks) // 2], model)
        far = self.kriging(residual, model.ratio)
        near = max_pool2d(clear[None].to(residual), 2 * REACH + 1, 1, REACH)
        say = 0.5 * interpolate(near[None], scale_factor=model.ratio, mode="nearest")[0]
        return torch.lerp(far, alike, say)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return joined({"kriging": self.kriging, "lookalikes": self.lookalikes})

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(Kriging.of(under(tensors, "kriging")), Lookalikes.of(under(tensors, "lookalikes")))
