"""coarsedelta: fine bases interpolated in time, and the change that the coarse sensor saw since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.blend import Blend
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.learning.series import SeriesMethod

__all__ = ["CoarseDelta"]


@dataclass
class CoarseDelta(SeriesMethod):
    """F_k = Σ w_i F_i + (C_k − Σ w_i C_i)↑, w linear in days between the bases.

    It keeps every detail that its bases have, and changes nothing finer than a coarse pixel; papers forget to
    show it, and often enough it is hard to beat.
    """

    @property
    def card(self) -> Card:
        """Interpolation in time, and the coarse change."""
        return Card(
            name="coarsedelta",
            title="Linear in time plus coarse change",
            source="stsfusion",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            memory=9.0,
        )

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """Between the bases, plus the change."""
        base = Blend.linear(bases, asked)
        return base.fine + asked.coarse - base.coarse
