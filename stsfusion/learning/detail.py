"""Detail: the dense image of every date with the pixels of the sharp series, by one regression a date.

::

    fine     B = sharp images of all their dates ──────────────► W(t) · B + (D(t) − S[W(t) · B])↑
    coarse   S[B] ── least squares against D(t) ──► W(t)

A date changes each surface in its own way, and what a surface is shows in the whole sharp series: so the
regression on all sharp dates finds the change of every surface, also at dates that the sharp sensor missed.
Blurring commutes with it; the weights found on the dense grid hold on the target's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.ridge import Affine, Sums
from stsfusion.operators.blur import Blur
from stsfusion.operators.resample import upsample

__all__ = ["Detail", "detail_sums", "lowpass"]

_SAME = 0.5
"""Days by which a date may differ from the one that its weights were learned at."""


@dataclass(frozen=True, eq=False)
class Detail:
    """The regression of every date's dense bands on the sharp series."""

    days: Tensor
    """(time,) days it was learned at."""

    slope: Tensor
    """(time, in, band) weights of the sharp series."""

    offset: Tensor
    """(time, band)."""

    @classmethod
    def solve(cls, sums: Sequence[Sums], days: Tensor, penalty: float) -> Self:
        """Ridge regression for every date.

        Parameters
        ----------
        sums
            Of every date, as `detail_sums` gives them.
        days
            (time,) days of the dates.
        penalty
            Share of the standardised variance; the noise of the sharp images asks for one, since blurring
            hides it from the regression.
        """
        maps = [each.solve(penalty) for each in sums]
        return cls(days.float(), torch.stack([m.slope for m in maps]), torch.stack([m.offset for m in maps]))

    def apply(self, series: Tensor, dense: Tensor, days: Tensor, blur: Blur) -> Tensor:
        """The dense series at the target's pixels; a date that was not learned is only upsampled.

        Parameters
        ----------
        series
            (1, in, y, x) sharp series on the target's grid.
        dense
            (time, band, y/r, x/r).
        days
            (time,) days of the dates.
        blur
            The dense sensor's.

        Returns
        -------
        Tensor
            (time, band, y, x).
        """
        fine = []
        for t, day in enumerate(days.tolist()):
            gap = (self.days - day).abs()
            nearest = int(gap.argmin())
            if float(gap[nearest]) > _SAME:
                fine.append(upsample(dense[t : t + 1], blur.ratio))
                continue
            image = Affine(self.slope[nearest], self.offset[nearest])(series)
            fine.append(image + upsample(dense[t : t + 1] - lowpass(image, blur), blur.ratio))
        return torch.cat(fine)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


def detail_sums(series: Tensor, dense: Tensor, weight: Tensor, blur: Blur) -> list[Sums]:
    """What every date's regression of one tile needs.

    Parameters
    ----------
    series
        (1, in, y, x) sharp series on the target's grid.
    dense
        (time, band, y/r, x/r).
    weight
        (time, 1, y/r, x/r), zero where the dense series is not known.
    blur
        The dense sensor's.
    """
    low = lowpass(series, blur)
    return [Sums.of(low, dense[t : t + 1], weight[t : t + 1]) for t in range(len(dense))]


def lowpass(images: Tensor, blur: Blur) -> Tensor:
    """What the blur leaves of images of any number of dates and channels."""
    time, channel, rows, cols = images.shape
    return blur.with_shape((time, channel, rows, cols))(images)
