"""Part: the dates and the area of a published series that are exported, read block by block, north up.

::

    store       |......|......|......|      shards, or what a later layout has instead
    area           [===============]
    blocks         [....|....|....|.]       from the area's north-west corner, each small enough to hold
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.export.quantity import Quantity
from stsfusion.window import Interval, Window

__all__ = ["Block", "Part"]

_BYTES = 32 * 2**20
"""What the values of one block may take in float32."""


@dataclass(frozen=True)
class Block:
    """A rectangle of the exported area."""

    rows: Interval
    """First row and the one after the last, from the area's northern edge."""

    cols: Interval
    """First column and the one after the last, from its western edge."""

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of (y, x)."""
        return slice(*self.rows), slice(*self.cols)


@dataclass(frozen=True)
class Part:
    """What is exported."""

    store: CubeStore
    """Where it is read."""

    name: str
    """The dataset in the store; '' at its root."""

    spec: CubeSpec
    """The dataset's frame."""

    dates: tuple[int, ...]
    """Indices of the dates, rising."""

    rows: Interval
    """Rows of the store."""

    cols: Interval
    """Columns of the store."""

    quantities: tuple[Quantity, ...]
    """What of each date."""

    mark: str
    """Of the dates' files when they were chosen, see `CubeStore.mark`."""

    @property
    def stem(self) -> str:
        """How files are called, before date and quantity."""
        return f"{self.store.path.stem}-{self.name}" if self.name else self.store.path.stem

    @property
    def title(self) -> str:
        """The series in words."""
        return str(self.spec.attributes.get("title") or self.stem)

    @property
    def grid(self) -> Grid:
        """Where the exported pixels lie; rows from north to south, whatever the store has."""
        grid = self.spec.grid.crop(Window((0, 1), self.rows, self.cols))
        if not grid.rising:
            return grid
        left, _, _, top = grid.bounds
        return replace(grid, origin=(left, top), rising=False)

    @property
    def edge(self) -> int:
        """Pixels along one side of a block: whole inner chunks, as many as memory allows."""
        inner = self.spec.inner
        return inner * max(1, math.isqrt(_BYTES // (4 * len(self.spec.bands))) // inner)

    @property
    def stands(self) -> bool:
        """Whether the store still shows the very dates that were chosen."""
        try:
            return self.store.mark(self.name, self.dates) == self.mark
        except StoreError:
            return False

    def times(self) -> list[datetime]:
        """The dates, UTC."""
        return [datetime.fromtimestamp(self.spec.times[i] / 1000, UTC) for i in self.dates]

    def labels(self) -> list[str]:
        """What tells each date's file apart: the day, and the time where a day has several dates."""
        every = [datetime.fromtimestamp(stamp / 1000, UTC) for stamp in self.spec.times]
        for pattern in ("%Y%m%d", "%Y%m%dT%H%M%S"):
            texts = [f"{time:{pattern}}" for time in every]
            if len(set(texts)) == len(texts):
                return [texts[i] for i in self.dates]
        return [f"{every[i]:%Y%m%dT%H%M%S}{every[i].microsecond // 1000:03d}" for i in self.dates]

    def bands(self, quantity: Quantity) -> int:
        """How many layers a quantity has on each date."""
        return len(self.spec.bands) if quantity.banded else 1

    def blocks(self) -> Iterator[Block]:
        """Every block, rows first."""
        rows, cols = self.grid.shape
        for row in range(0, rows, self.edge):
            for col in range(0, cols, self.edge):
                yield Block((row, min(row + self.edge, rows)), (col, min(col + self.edge, cols)))

    def read(self, quantity: Quantity, date: int, block: Block) -> NDArray[np.integer]:
        """(band, y, x) integers as a file holds them; (1, y, x) for a quantity without bands.

        Parameters
        ----------
        date
            Its index in the store.
        """
        window = self._window(date, block)
        if quantity.packing is None:
            counts: NDArray[np.integer] = self.store.read_qa(self.name, window)
        elif quantity.name == "sigma":
            sigma = self.store.read_sigma(self.name, window)[0]
            counts = quantity.packing.pack(sigma, np.isfinite(sigma))
        else:
            values, valid = self.store.read(self.name, window)
            counts = quantity.packing.pack(values[0], valid[0])
        return counts[:, ::-1] if self.spec.grid.rising else counts

    def _window(self, date: int, block: Block) -> Window:
        """Where a block lies in the store."""
        first, last = block.rows
        below, left = self.rows, self.cols[0]
        if self.spec.grid.rising:
            rows = (below[1] - last, below[1] - first)
        else:
            rows = (below[0] + first, below[0] + last)
        return Window((date, date + 1), rows, (left + block.cols[0], left + block.cols[1]))
