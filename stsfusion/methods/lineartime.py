"""lineartime: the hyperspectral series interpolated linearly in days, upsampled."""

from __future__ import annotations

from dataclasses import dataclass, field

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card, FusionMethod, Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import at_dates
from stsfusion.operators.resample import Upsample, blocks, upsample

__all__ = ["LinearTime"]


@dataclass
class LinearTime(FusionMethod):
    """X(t) = upsample((1 − w) Z(before) + w Z(after)), w in proportion to days, gap by gap.

    The floor that papers forget to show: whoever fuses other sensors must beat it on the missing dates.

    Source: linear interpolation in time; Keys (1981), eq. 15, in space.
    """

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Hyperspectral pixels by which gaps are entered from their edges."""

    @property
    def card(self) -> Card:
        """Linear in time, upsampled."""
        return Card(
            name="lineartime",
            title="Hyperspectral series linear in days, bicubic",
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
        """Interpolate in time, fill, upsample."""
        (rich,) = problem.require("rich", by="lineartime")
        coarse, quality = at_dates(rich, problem.target.days, "linear", self.passes)
        return Answer(upsample(coarse, rich.ratio), blocks(quality, rich.ratio))
