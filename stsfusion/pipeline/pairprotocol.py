"""PairProtocol: how a hyperspectral scene becomes a coarse and a sharp image, and what is told of that."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from stsfusion.errors import ProblemError

__all__ = ["PairProtocol"]

_RATIOS = (2, 64)
_FURTHEST = 16.0
"""Largest misregistration, fine pixels."""


@dataclass(frozen=True, kw_only=True)
class PairProtocol:
    """One coarse hyperspectral and one sharp multispectral image of the same moment."""

    ratio: int = 4
    """Fine pixels along one side of a coarse one."""

    psf: str = "gaussian:0.5"
    """What a coarse pixel sees, see `footprint`."""

    msi: str = "landsat8-oli"
    """The multispectral sensor's name in the catalogs."""

    bands: tuple[str, ...] | None = None
    """Its bands by name; None: all for images of the ground that the scene covers."""

    blind: bool = True
    """Whether methods are told the ratio and each band's coverage only; otherwise all there is to know."""

    snr_db: float | None = None
    """Signal-to-noise ratio of every band of both images, dB; None: no noise."""

    shift: float = 0.0
    """Fine pixels by which hyperspectral footprints lie off their blocks, down and right alike."""

    pair: str | None = None
    """Variable of the scene that is the real multispectral image; None: it is simulated."""

    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        low, high = _RATIOS
        self._check("ratio", f"{low} to {high}", low <= self.ratio <= high)
        self._check("seed", "0 or more", self.seed >= 0)
        self._check("shift", f"at most {_FURTHEST:g} fine pixels", abs(self.shift) <= _FURTHEST)
        self._check("snr_db", "decibels", self.snr_db is None or math.isfinite(self.snr_db))
        self._check(
            "bands", "names, each once", self.bands is None or 0 < len(self.bands) == len(set(self.bands))
        )
        if self.pair is not None:
            free = self.blind and self.snr_db is None and self.bands is None
            self._check("pair", "a real image alone: no --known, --snr-db or --bands", free)

    def _check(self, name: str, expected: str, right: bool) -> None:
        if not right:
            raise ProblemError(f"protocol, {name}", expected=expected, got=f"{getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """All options as plain JSON."""
        plain = {option.name: getattr(self, option.name) for option in fields(self)}
        bands = None if self.bands is None else list(self.bands)
        return {**plain, "msi": None if self.pair else self.msi, "bands": bands}
