"""fitfc: regression in a moving window of coarse pixels, a filter over similar ones, residuals given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.blend import linear_shares, pixels
from stsfusion.learning.coarsepixel import CoarsePixel, width_of
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.learning.movingfit import MovingFit
from stsfusion.learning.neighbours import Neighbours
from stsfusion.learning.series import SeriesMethod
from stsfusion.operators.resample import Upsample, blocks, upsample

__all__ = ["FitFC"]

_MOST = 20
"""Similar pixels where nothing is said."""

_ROUNDING = 1e-9
"""Share of the scene's variance that a window's exceeds unless it has no contrast at all."""


@dataclass
class FitFC(SeriesMethod):
    """F_k = S [ Σ a_i F_i + b + (C_k − Σ a_i C_i − b)↑ ], S the mean over similar pixels.

    a and b are fitted in a window of coarse pixels around each. With several bases the regression takes all
    at once and leans on linear interpolation in days, with one on a = 1, where the window has no contrast.

    Source: Wang and Atkinson (2018), doi:10.1016/j.rse.2017.10.046, eqs. 2 to 11.
    """

    window: int = field(default=5, metadata={"ge": 1, "le": 51})
    """Coarse pixels along one side of the regression's window; rounded up to odd."""

    radius: int = field(default=15, metadata={"ge": 0, "le": 100})
    """Fine pixels that similar ones are looked for in, to every side."""

    similar: int = field(default=0, metadata={"ge": 0, "le": 1000})
    """How many similar pixels are averaged, the pixel itself among them; 0: as many as a coarse pixel has
    fine ones, the authors' 20 at most."""

    ridge: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1e3})
    """What is added to the window's variance, in the scene's variance of the coarse band."""

    coarse: int = field(default=0, metadata={"ge": 0, "le": 512})
    """Fine pixels along one side of a coarse one; 0: the data's ratio, or found where they were resampled."""

    @property
    def card(self) -> Card:
        """Regression, filtering, residuals."""
        return Card(
            name="fitfc",
            title="Fit-FC",
            source="10.1016/j.rse.2017.10.046",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            memory=15.0,
        )

    def context(self, ratio: int) -> int:
        """The window, the interpolation of residuals, and the similar pixels."""
        pixel = self._pixel(self.state, "own.coarse", ratio)
        if not pixel.aligned:
            return self._width(pixel) // 2 + self.radius
        return self._width(pixel) // 2 * ratio + Upsample(ratio, (1, 1, 1, 1)).reach + ratio + self.radius

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """The coarse pixels' width, the coarse bands' variance, and what fine pixels differ by."""
        seen = [self.bases_of(tile) for tile in tiles]
        bases = [tile.base(date) for tile, dates in zip(tiles, seen, strict=True) for date in dates]
        tick(0.5, "coarse pixels")
        known = [base.known for base in bases]
        fine = pixels([base.fine for base in bases], known).double()
        coarse = pixels([base.coarse for base in bases], known).double()
        level = fine.var(1, correction=0).mean().sqrt()
        return {
            "coarse": torch.tensor(width_of(self.coarse, tiles, seen)),
            "variance": coarse.var(1, correction=0).float(),
            "level": torch.where(level > 0, level, 1.0).float(),
        }

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """Regression, residuals, filter."""
        pixel = self._pixel(state, "coarse", asked.ratio)
        inputs = [base.own if pixel.aligned else base.coarse for base in bases]
        output = asked.own if pixel.aligned else asked.coarse
        known = torch.stack([base.known for base in bases]).all(0)
        maps = torch.cat([linear_shares(bases, asked), (known & asked.known)[None].to(output)])
        maps = avg_pool2d(maps[None], asked.ratio)[0] if pixel.aligned else maps
        ridge = self.ridge * state["variance"] + _ROUNDING * state["level"].square()
        fit = MovingFit.of(inputs, output, maps[-1], self._width(pixel), ridge, maps[:-1])
        rest = output - fit(inputs)
        if pixel.aligned:
            fit = MovingFit(blocks(fit.slope, asked.ratio), blocks(fit.offset, asked.ratio))
            rest = upsample(rest[None], asked.ratio)[0]
        sharp = [base.fine for base in bases]
        guide = torch.cat(sharp)
        count = self.similar or min(pixel.size**2, _MOST)
        alike = Neighbours(self.radius, count, state["level"].expand(len(guide)))
        return alike.mean(fit(sharp) + rest, guide, known)

    def _pixel(self, state: Mapping[str, Tensor], name: str, ratio: int) -> CoarsePixel:
        return CoarsePixel.of(int(state[name]) if name in state else self.coarse or ratio, ratio)

    def _width(self, pixel: CoarsePixel) -> int:
        """The window, in pixels of the grid that the regression works on."""
        return (self.window if pixel.aligned else self.window * pixel.size) | 1

    @classmethod
    def example(cls, **settings: object) -> FitFC:
        """Small windows."""
        return cls(**{"window": 3, "radius": 3, **settings})  # type: ignore[arg-type]
