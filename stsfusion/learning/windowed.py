"""Windowed: series methods that weigh the pixels of a search window which look like its centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from stsfusion.fusion.method import Tick
from stsfusion.learning.levels import Levels
from stsfusion.learning.looks import Looks
from stsfusion.learning.series import SeriesMethod

__all__ = ["WindowedMethod"]


@dataclass
class WindowedMethod(SeriesMethod):
    """Knows how bright and varied every base is all over the scene, and looks at a window around a pixel."""

    window: int = field(default=51, metadata={"ge": 3, "le": 201})
    """Fine pixels along one side of the search window; an even number means the next odd one."""

    @property
    def radius(self) -> int:
        """Fine pixels from a window's centre to its edge."""
        return self.window // 2

    def context(self, ratio: int) -> int:
        """The window."""
        return self.radius

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """Mean, spread, range and level of every base, see `Levels`."""
        return Levels.learn(tile.base(date) for tile in tiles for date in self.bases_of(tile)).tensors()

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A small window."""
        return cls(**{"window": 7, **settings})
