"""Engine scene: three sensors' cubes of any size that nobody ever holds, made and written shard by shard.

Every value follows from its place and date alone: shares of materials are smooth fields in a mosaic of plots,
with a season of their own, and a coarse pixel sees the mean of the fine ones under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Source
from stsfusion.fusion.problem import ROLES, Role, Target
from stsfusion.sensing.spectra import SpectralResponse, gaussian
from stsfusion.window import Window

__all__ = ["EngineScene"]

Array = NDArray[np.float64]

_CENTRES = (443.0, 490.0, 560.0, 665.0, 705.0, 740.0, 783.0, 842.0)
_WIDTHS = (40.0, 65.0, 35.0, 30.0, 15.0, 15.0, 20.0, 115.0)
_NOISE: dict[Role, float] = {"rich": 5e-4, "sharp": 1e-3, "dense": 1e-3}
_DAY, _FIRST, _PLOT, _MATERIALS, _WAVES = 86_400_000, 19_875, 24, 6, 3


@dataclass(frozen=True)
class EngineScene:
    """A square of land, as a hyperspectral, a fine and a frequent instrument see it."""

    size: int
    """Rows and columns, target pixels; a multiple of 96."""

    bands: int = 166
    """Of the target and of the hyperspectral sensor."""

    dates: int = 3
    """Of the target; the frequent sensor sees all, the others every second."""

    seed: int = 0
    """Of spectra, fields and noise."""

    @property
    def ratios(self) -> dict[Role, int]:
        """Target pixels along one side of a pixel, by role."""
        return {"rich": 3, "sharp": 1, "dense": 2}

    def seen(self, role: Role) -> tuple[int, ...]:
        """The target's dates that a sensor saw."""
        return tuple(range(0, self.dates, 1 if role == "dense" else 2))

    @cached_property
    def nm(self) -> Array:
        """(band,) centre wavelengths, nm."""
        return np.linspace(420.0, 2480.0, self.bands)

    @cached_property
    def _spectra(self) -> Array:
        """(material, band) smooth reflectance between 0.02 and 0.6."""
        dice = np.random.default_rng(self.seed)
        centre, width = (
            dice.uniform(low, high, (_MATERIALS, 8, 1)) for low, high in ((400, 2500), (60, 500))
        )
        height = dice.normal(0, 0.12, (_MATERIALS, 8, 1))
        bumps = (height * np.exp(-0.5 * ((self.nm - centre) / width) ** 2)).sum(1)
        return np.clip(dice.uniform(0.1, 0.4, (_MATERIALS, 1)) + bumps, 0.02, 0.6)

    @cached_property
    def _response(self) -> Array:
        """(8, band) of both multispectral sensors."""
        curves = tuple(gaussian(c, w) for c, w in zip(_CENTRES, _WIDTHS, strict=True))
        names = tuple(f"m{i + 1}" for i in range(len(curves)))
        return np.asarray(SpectralResponse(names, curves).matrix(self.nm))

    def _shares(self, date: int, rows: tuple[int, int], cols: tuple[int, int]) -> NDArray[np.float32]:
        """(material, y, x) of these target pixels."""
        y, x = np.arange(*rows, dtype=np.float64)[:, None], np.arange(*cols, dtype=np.float64)[None, :]
        plot = np.floor((y + 5 * np.sin(x / 31)) / _PLOT) * 7919 + np.floor(x / _PLOT) * 104729
        dice = np.random.default_rng(self.seed + 1)
        total = np.empty((_MATERIALS, len(y), x.shape[1]), np.float32)
        for m in range(_MATERIALS):
            waves = dice.uniform(-0.15, 0.15, (_WAVES, 2)), dice.uniform(0, 6.28, _WAVES)
            field = sum(np.sin(f[0] * y + f[1] * x + p) for f, p in zip(*waves, strict=True))
            grown = np.mod(np.sin(plot * 12.9898 + m * 78.233) * 43758.5453, 1.0)
            total[m] = 0.7 * field + 4.0 * grown + np.sin(date * 0.9 + m) * grown
        share = np.exp(total - total.max(0))
        return np.asarray(share / share.sum(0), dtype=np.float32)

    def values(self, role: Role, date: int, window: Window) -> NDArray[np.float32]:
        """(band', y, x) of a window of a sensor's own pixels on a date of the target, with noise."""
        ratio, fine = self.ratios[role], window.refine(self.ratios[role])
        shares = self._shares(date, fine.rows, fine.cols)
        _, rows, cols = window.shape
        coarse = shares.reshape(_MATERIALS, rows, ratio, cols, ratio).mean((2, 4))
        mixing = self._spectra.T if role == "rich" else self._response @ self._spectra.T
        dice = np.random.default_rng([self.seed, ROLES.index(role), date, window.rows[0], window.cols[0]])
        noise = _NOISE[role] * dice.standard_normal((len(mixing), rows, cols), dtype=np.float32)
        return np.asarray(np.tensordot(mixing.astype(np.float32), coarse, 1) + noise, dtype=np.float32)

    @property
    def grid(self) -> Grid:
        """The target's."""
        return Grid((self.size, self.size), 10.0, (500_000.0, 4_000_000.0), "EPSG:32650")

    def frame(self, role: Role | None, shard: int = 384, inner: int = 96) -> CubeSpec:
        """How a sensor's cube, or the target (None), lies in its store."""
        broad = role in ("sharp", "dense")
        nm = np.asarray(_CENTRES) if broad else self.nm
        ratio = 1 if role is None else self.ratios[role]
        dates = range(self.dates) if role is None else self.seen(role)
        return CubeSpec(
            self.grid.coarsen(ratio),
            tuple((_FIRST + 16 * date) * _DAY for date in dates),
            tuple(f"{(role or 'b')[0]}{i + 1}" for i in range(len(nm))),
            tuple(nm.tolist()),
            shard=shard // ratio,
            inner=inner // ratio,
        )

    def write(self, path: Path) -> Iterator[float]:
        """Write all three cubes; the share that is done after each shard."""
        store = CubeStore(path)
        work = [(role, window) for role in ROLES for window in self.frame(role).shards()]
        for role in ROLES:
            store.create(role, self.frame(role))
        for done, (role, window) in enumerate(work):
            values = self.values(role, self.seen(role)[window.dates[0]], window)
            store.write(role, window, values[None], np.ones((1, 1, 1, 1), bool))
            yield (done + 1) / len(work)
        store.publish()

    @property
    def target(self) -> Target:
        """What is asked: every date, every band, the finest pixels."""
        days = 16.0 * torch.arange(self.dates, dtype=torch.float64)
        return Target((self.dates, self.bands, self.size, self.size), torch.from_numpy(self.nm), days)

    @property
    def sources(self) -> tuple[Source, ...]:
        """How the sensors saw it."""
        return tuple(
            Source(
                role,
                role,
                self.seen(role),
                ratio,
                np.full((ratio, ratio), 1.0 / ratio**2),
                None if role == "rich" else self._response,
                np.full(self.bands if role == "rich" else len(_CENTRES), _NOISE[role]),
            )
            for role, ratio in self.ratios.items()
        )
