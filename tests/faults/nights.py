"""Nights: a project of the smallest size, what has come in by a night, and what its series must then show.

The hyperspectral images are one field of places, brighter or darker by date and band, and the method is
linear in time: so every published value has a closed form, whatever came in, and in whichever order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray  # noqa: F401 - gives cubes their .rio
import torch
import xarray as xr
import yaml
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.operators.resample import upsample
from stsfusion.pipeline import ourcode, prints, steps

__all__ = ["EPOCH", "Input", "expected", "quickly", "recipe_in", "seen_in", "stsfusion"]

EPOCH = np.datetime64("2022-03-01", "ms")
ROWS, COLS, RATIO = 8, 16, 2
NM = {"rich": [500.0, 600.0], "sharp": [550.0]}


@dataclass(frozen=True)
class Input:
    """What has come in."""

    rich: Mapping[int, int] = field(default_factory=dict)
    """Days of hyperspectral images, and how often each was processed anew."""

    sharp: frozenset[int] = frozenset()
    """Days of sharp ones: days that are asked for."""

    @property
    def days(self) -> list[int]:
        """Days of the series."""
        return sorted({*self.rich, *self.sharp})

    def deliver(self, folder: Path) -> None:
        """Write it as the cubes of a recipe in this folder."""
        coarse = field_of(ROWS // RATIO, COLS // RATIO)
        images = [coarse * light(day, again)[:, None, None] for day, again in sorted(self.rich.items())]
        write(folder / "rich.nc", "rich", sorted(self.rich), np.stack(images), 10.0 * RATIO)
        plain = np.full((len(self.sharp), 1, ROWS, COLS), 0.3)
        write(folder / "sharp.nc", "sharp", sorted(self.sharp), plain, 10.0)


def light(day: int, again: int) -> np.ndarray:
    """(band,) brightness of an image; no two dates, bands or versions in a row are alike."""
    return np.array([0.2 + 0.5 * ((37 * day + 61 * again + 17 * band) % 101) / 101 for band in range(2)])


def field_of(rows: int, cols: int) -> np.ndarray:
    """(y, x) another brightness at every place."""
    return 0.5 + 0.4 * np.random.default_rng(0).random((rows, cols))


def write(path: Path, role: str, days: list[int], values: np.ndarray, step: float) -> None:
    """A cube, in its place at once."""
    _, bands, rows, cols = values.shape
    cube = xr.DataArray(
        values.astype("float32"),
        dims=("time", "band", "y", "x"),
        coords={
            "time": EPOCH + np.array(days, "timedelta64[D]").astype("timedelta64[ms]"),
            "band": [f"{role[0]}{band}" for band in range(bands)],
            "wavelength": ("band", NM[role], {"units": "nm"}),
            "fwhm": ("band", np.full(bands, 40.0), {"units": "nm"}),
            "y": 4_000_000.0 - (np.arange(rows) + 0.5) * step,
            "x": 500_000.0 + (np.arange(cols) + 0.5) * step,
        },
        name="reflectance",
        attrs={"units": "1"},
    ).rio.write_crs("EPSG:32650")
    beside = path.with_suffix(".new")
    cube.to_netcdf(beside, engine="h5netcdf", encoding={"reflectance": {"_FillValue": -9999.0}})
    beside.replace(path)


def recipe_in(folder: Path) -> Path:
    """A recipe on these cubes, whose results lie in `out` beside it."""
    recipe = {
        "cubes": {role: f"{role}.nc" for role in NM},
        "roles": {role: {"psf": "gaussian"} for role in NM},
        "fuse": {"method": "lineartime", "tile": 8, "executor": "inline", "neighbours": 1},
        "evaluate": {"compare": []},
        "report": {"pictures": False},
        "output": str(folder / "out"),
    }
    path = folder / "nights.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


_FINE = upsample(torch.from_numpy(field_of(ROWS // RATIO, COLS // RATIO))[None, None], RATIO)[0, 0].numpy()


def expected(known: Input) -> np.ndarray:
    """(time, band, y, x) of the series: brightness linear in days, beyond the first and last as there."""
    days = sorted(known.rich)
    seen = np.array([light(day, known.rich[day]) for day in days])
    bright = np.stack([np.interp(known.days, days, of_band) for of_band in seen.T], axis=1)
    return bright[:, :, None, None] * _FINE


def seen_in(series: Path) -> tuple[list[int], np.ndarray] | None:
    """Days and values that a reader finds, of a store or a NetCDF file; None: no series."""
    if series.suffix == ".zarr" and not (series / "zarr.json").exists():
        return None
    opened = xr.open_zarr(series, chunks=None) if series.suffix == ".zarr" else xr.open_dataset(series)
    with opened as found:
        days = ((found.time.values - EPOCH) / np.timedelta64(1, "D")).astype(int).tolist()
        return days, found.reflectance.values


def stsfusion(*words: object) -> Any:
    """Run the command line in this process."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@contextmanager
def quickly() -> Iterator[None]:
    """Without scores and pages, of which nothing is asked here, and as by one version of the code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ourcode, "_looked", {})
        for module in (ourcode, prints):
            patch.setattr(module, "fingerprint_of_code", lambda *things: "the same")
            patch.setattr(module, "fingerprint_of_parts", lambda *things: "the same")
        for step in ("_evaluate", "_report"):
            patch.setattr(steps, step, lambda *things: None)
        yield
