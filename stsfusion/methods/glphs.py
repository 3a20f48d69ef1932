"""glphs: hypersharpening by a generalised Laplacian pyramid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.intensity import Rule, detail, gains, intensity, joint_sums
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.blur import mtf_kernel
from stsfusion.operators.pairmodel import PairModel

__all__ = ["GLPHS"]


@dataclass
class GLPHS(PairMethod):
    """X_b = Z_b↑ + g_b · (I_b − (I_b)↓↑), every hyperspectral band with a sharp image I_b of its own.

    ↓ is the low-pass of the pyramid: the pair's point spread function, or a Gaussian matched to a
    modulation; ↑ is cubic convolution.

    Source: Selva et al. (2015), doi:10.1109/JSTARS.2015.2440092, sec. III; pyramid: Aiazzi et al. (2006).
    """

    rule: Rule = "linear"
    """How I_b is made: least squares, least squares without negative weights, or the most alike band."""

    gain: Literal["regression", "one"] = "regression"
    """g_b: cov(Z_b, I_b↓) / var(I_b↓), or one."""

    mtf: float | None = field(default=None, metadata={"ge": 0.01, "le": 0.99})
    """Modulation at the hyperspectral grid's Nyquist frequency of a Gaussian low-pass, the authors' is 0.3;
    None: the pair's own point spread function."""

    ridge: float = field(default=1e-6, metadata={"ge": 0.0, "le": 1e6})
    """Share of a sharp band's variance that is added to it in the regression."""

    uncovered: ClassVar[bool] = True

    @property
    def card(self) -> Card:
        """Hypersharpening by details."""
        return Card(
            name="glphs",
            title="Laplacian pyramid hypersharpening",
            source="10.1109/JSTARS.2015.2440092",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=6.0,
        )

    def context(self, ratio: int, reach: int) -> int:
        """The low-pass, and the interpolation back."""
        own = 0 if self.mtf is None else math.ceil((mtf_kernel(self.mtf, ratio).shape[0] - ratio) / 2)
        return 2 * ratio + max(2 * reach, own)

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """(l, L) weights of the details."""
        sums = joint_sums(pairs, self._pyramid(model))
        sharp = intensity(sums, self.rule, self.ridge)
        return {"weights": sharp.slope * (gains(sums, sharp) if self.gain == "regression" else 1.0)}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """Z↑ + weights · detail."""
        image = model.upsample(pair.coarse)
        lent = detail(pair.fine, self._pyramid(model))
        return image.add_(torch.tensordot(state["weights"].T, lent, 1))

    def _pyramid(self, model: PairModel) -> PairModel:
        """The model whose low-pass is the pyramid's."""
        if self.mtf is None:
            return model
        return replace(model, kernel=mtf_kernel(self.mtf, model.ratio).to(model.kernel))
