"""bicubic: the nearest observed date of the hyperspectral sensor, upsampled."""

from __future__ import annotations

from dataclasses import dataclass, field

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card, FusionMethod, Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import at_dates
from stsfusion.operators.resample import Upsample, blocks, upsample

__all__ = ["Bicubic"]


@dataclass
class Bicubic(FusionMethod):
    """X(t) = upsample(Z(the observed date nearest to t)), by cubic convolution.

    The least that anyone could do: no other sensor is used. Where no date is valid, the gap is entered from
    its edges and flagged as filled.

    Source: Keys (1981), eq. 15, a = −1/2.
    """

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Hyperspectral pixels by which gaps are entered from their edges."""

    @property
    def card(self) -> Card:
        """Nearest date, upsampled."""
        return Card(
            name="bicubic",
            title="Nearest hyperspectral date, bicubic",
            source="10.1109/TASSP.1981.1163711",
            needs=("rich",),
            fits="no",
            baseline=True,
            blind=True,
            memory=4.0,
        )

    def halo(self, geometry: Geometry) -> int:
        """Reach of the interpolation and of the filling."""
        ratio = geometry.ratio("rich")
        return Upsample(ratio, (1, 1, 1, 1)).reach + self.passes * ratio

    def fuse(self, problem: Problem) -> Answer:
        """Choose, fill, upsample."""
        (rich,) = problem.require("rich", by="bicubic")
        coarse, quality = at_dates(rich, problem.target.days, "nearest", self.passes)
        return Answer(upsample(coarse, rich.ratio), blocks(quality, rich.ratio))
