"""gsa: Gram–Schmidt adaptive detail injection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.intensity import detail, gains, intensity, joint_sums
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.pairmodel import PairModel

__all__ = ["GSA"]


@dataclass
class GSA(PairMethod):
    """X_b = Z_b↑ + g_b · (I_b − (I_b)↓↑), I_b = Σ_l w_bl Y_l + c_b.

    For every hyperspectral band b the intensity I_b is the least-squares combination of the sharp bands Y,
    fitted against Z_b on the coarse grid with an intercept; its detail is injected with the gain
    g_b = cov(Z_b, I_b↓) / var(I_b↓), which is one for an ordinary least-squares fit. Sharp bands outside the
    hyperspectral range take part. With psf: box it is the authors' setting.

    Source: Aiazzi, Baronti and Selva (2007), eqs. 10 to 14; one intensity a band as in Selva et al. (2015).
    """

    ridge: float = field(default=1e-6, metadata={"ge": 0.0, "le": 1e6})
    """Share of a sharp band's variance that is added to it, so that the bands' covariance inverts."""

    uncovered: ClassVar[bool] = True

    @property
    def card(self) -> Card:
        """Detail injection."""
        return Card(
            name="gsa",
            title="Gram–Schmidt adaptive, linear in days between",
            source="10.1109/TGRS.2007.901007",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=6.0,
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """(l, L) weights of the details."""
        sums = joint_sums(pairs, model)
        sharp = intensity(sums, "linear", self.ridge)
        return {"weights": sharp.slope * gains(sums, sharp)}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """Z↑ + weights · detail."""
        image = model.upsample(pair.coarse)
        return image.add_(torch.tensordot(state["weights"].T, detail(pair.fine, model), 1))
