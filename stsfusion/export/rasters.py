"""Rasters: what formats share that keep one image a date: names, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stsfusion.errors import StoreError
from stsfusion.export.format import Watch
from stsfusion.export.part import Block, Part
from stsfusion.export.quantity import Quantity

__all__ = ["Image", "images", "number"]

_POOR = ("edge_noise", "overlap", "removed")
"""Flags of bands that are left out by default, beside those of water vapour ('water_…')."""


@dataclass
class Image:
    """One quantity of one date."""

    part: Part
    """What it is of."""

    quantity: Quantity
    """What it shows."""

    index: int
    """The date's index in the store."""

    time: datetime
    """The date, UTC."""

    stem: str
    """The file's name without what tells the format."""

    begun: float
    """Share of the export that is done before it."""

    weight: float
    """Share of the export that it is."""

    watch: Watch
    """Is told how far it is."""

    seen: NDArray[np.bool_] | None = None
    """(band,) whether a band has any value, known once all blocks were read."""

    sums: list[int] = field(default_factory=list)
    """Checksum of every block that was read."""

    def blocks(self, until: float = 1.0) -> Iterator[tuple[Block, NDArray[np.integer]]]:
        """Every block with its integers (band, y, x).

        Parameters
        ----------
        until
            Which share of the work reading is; the rest is the format's.
        """
        every = list(self.part.blocks())
        seen = np.zeros(self.part.bands(self.quantity), dtype=bool)
        self.sums.clear()
        for done, block in enumerate(every):
            counts = self.part.read(self.quantity, self.index, block)
            packing = self.quantity.packing
            seen |= True if packing is None else (counts != packing.gap).any(axis=(1, 2))
            self.sums.append(crc32(counts.tobytes()))
            yield block, counts
            self.at(until * (done + 1) / len(every))
        self.seen = seen

    def compare(self, path: Path, read: Callable[[Block], NDArray[np.integer]]) -> None:
        """Read a file once more: libraries may lose the end of a file without a word, as on a full disk.

        Parameters
        ----------
        read
            Gives a block as the file has it.

        Raises
        ------
        StoreError
            When a block is not what was read from the store.
        """
        for block, total in zip(self.part.blocks(), self.sums, strict=True):
            if crc32(read(block).tobytes()) != total:
                raise StoreError(
                    f"file {path.name}, rows {block.rows}, columns {block.cols}",
                    expected="the numbers that were written",
                    got="others",
                    mend="Look at the disk: its space and its health.",
                )

    def at(self, share: float) -> None:
        """Say how far this image is."""
        self.watch(self.begun + self.weight * share, self.stem)

    @property
    def good(self) -> list[int]:
        """(band,) 1, or 0 for a band that is flagged as poor, or without any value when others have some."""
        assert self.seen is not None, "all blocks are read first"
        seen = self.seen if self.seen.any() else np.ones_like(self.seen)
        if not self.quantity.banded:
            return [int(one) for one in seen]
        flags = self.part.spec.attributes.get("band_flags") or {}
        poor = (any(map(_is_poor, flags.get(name, ()))) for name in self.part.spec.bands)
        return [int(one and not bad) for one, bad in zip(seen, poor, strict=True)]

    @property
    def names(self) -> list[str]:
        """(band,) what each layer is called."""
        return list(self.part.spec.bands) if self.quantity.banded else [self.quantity.name]

    @property
    def wavelengths(self) -> list[tuple[float, float | None]]:
        """(band,) centre and width, nm; nothing for a quantity without bands."""
        spec = self.part.spec
        widths = spec.fwhm or (None,) * len(spec.bands)
        return list(zip(spec.wavelength, widths, strict=True)) if self.quantity.banded else []


def images(part: Part, watch: Watch) -> Iterator[Image]:
    """Every image of a part, date by date; large ones count more in what is done."""
    total = len(part.dates) * sum(part.bands(quantity) for quantity in part.quantities)
    done = 0
    for index, time, label in zip(part.dates, part.times(), part.labels(), strict=True):
        for quantity in part.quantities:
            weight = part.bands(quantity)
            stem = f"{part.stem}_{label}{quantity.suffix}"
            yield Image(part, quantity, index, time, stem, done / total, weight / total, watch)
            done += weight


def _is_poor(flag: str) -> bool:
    return flag in _POOR or flag.startswith("water_")


def number(value: float) -> str:
    """A length or a scale as files carry it: all digits that were meant, and no more."""
    return f"{value:.10g}"
