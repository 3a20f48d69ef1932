"""sfimhs: hypersharpening by smoothing filter-based intensity modulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.intensity import Rule, intensity, joint_sums
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.pairmodel import PairModel

__all__ = ["SFIMHS"]


@dataclass
class SFIMHS(PairMethod):
    """X_b = Z_b↑ · I_b / (I_b)↓↑, every hyperspectral band with a sharp image I_b of its own.

    The ratio is taken as 1 + (I_b − I_b↓↑) / J, where J is I_b↓↑ held a floor away from zero, on its own side
    of it: the same beyond the floor, one where a dark image is flat, and at home with negative values.

    Source: Liu (2000), doi:10.1080/014311600750037499, eq. 4; one I_b a band as in Selva et al. (2015).
    """

    rule: Rule = "linear"
    """How I_b is made: least squares, least squares without negative weights, or the most alike band."""

    floor: float = field(default=0.05, metadata={"ge": 1e-6, "le": 1.0})
    """Share of a band's root mean square level; nothing nearer to zero is divided by."""

    highest: float = field(default=5.0, metadata={"ge": 1.0, "le": 1e3})
    """Largest ratio; the smallest is zero."""

    ridge: float = field(default=1e-6, metadata={"ge": 0.0, "le": 1e6})
    """Share of a sharp band's variance that is added to it in the regression."""

    uncovered: ClassVar[bool] = True

    @property
    def card(self) -> Card:
        """Hypersharpening by ratios."""
        return Card(
            name="sfimhs",
            title="Intensity modulation hypersharpening",
            source="10.1080/014311600750037499",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=8.0,
        )

    def context(self, ratio: int, reach: int) -> int:
        """The low-pass, and the interpolation back."""
        return 2 * (ratio + reach)

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """(l, L) slopes and (L,) offsets of I_b, and (L,) the least size that is divided by."""
        sums = joint_sums(pairs, model)
        sharp = intensity(sums, self.rule, self.ridge)
        low = torch.cat([model.lowpass(pair.fine)[:, pair.clear] for pair in pairs], 1)
        level = (sharp.slope.to(low).T @ low + sharp.offset.to(low)[:, None]).square().mean(1).sqrt()
        floor = (self.floor * level).clamp_min(float(level.max()) * 1e-3).clamp_min(1e-30)
        return {"slope": sharp.slope, "offset": sharp.offset, "floor": floor}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """Z↑ times the ratio."""
        low = model.upsample(model.lowpass(pair.fine))
        slope, column = state["slope"].T, (slice(None), None, None)
        ratio = torch.tensordot(slope, pair.fine - low, 1)
        under = torch.tensordot(slope, low, 1).add_(state["offset"][column])
        floor = state["floor"][column].expand_as(under)
        under = torch.where(under.abs() < floor, floor.copysign(under), under)
        ratio.div_(under).add_(1.0).clamp_(0.0, self.highest)
        return ratio.mul_(model.upsample(pair.coarse))
