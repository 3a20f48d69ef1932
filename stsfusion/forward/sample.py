"""Sample: real hyperspectral scenes, one that comes with a package and any of the user's own.

The packaged one is AVIRIS Indian Pines, 12 June 1992, 145×145 pixels of 20 m in 200 bands (Baumgardner,
Biehl & Landgrebe 2015, doi:10.4231/R7RX991C), shipped by the package tensorly as scaled radiance, in which a
transfer in text mode has moved three counts in a hundred; they are put back (see `mend`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError, nearest
from stsfusion.forward.calibration import apparent_reflectance, flat_field
from stsfusion.forward.mend import undo_text_mode
from stsfusion.sensing.sensor import load_sensor

__all__ = ["SAMPLES", "Sample", "open_scene"]

_ZENITH = 25.0
"""Of the sun, degrees, assumed: late morning in June at 40° north. Scales all reflectance alike."""

_DISTANCE = 1.0155
"""From the sun on 12 June, astronomical units."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One real scene on one date."""

    name: str
    """Short name, for file names and tables."""

    title: str
    """What it is, in words."""

    reflectance: NDArray[np.float32]
    """(band, y, x), nominally 0 to 1, finite."""

    wavelengths: NDArray[np.float64]
    """(band,) centres, nm, in the provider's order."""

    quantity: str
    """What the numbers are and how they were made."""

    pixel: float | None = None
    """Side of a pixel, m; None: not said."""


def open_scene(name_or_path: str | Path) -> Sample:
    """A packaged scene by its name, or a NetCDF file with `reflectance` (band, y, x) and `wavelength`, nm.

    Bands of a file that hold no signal at all are left out.

    Raises
    ------
    CubeError
        When there is no such scene or file, it is not as described, or a pixel has gaps.
    """
    path = Path(name_or_path)
    if str(name_or_path) in SAMPLES:
        return SAMPLES[str(name_or_path)]()
    if not path.is_file():
        raise CubeError(
            f"scene '{name_or_path}'",
            expected=f"one of {', '.join(SAMPLES)}, or a NetCDF file",
            got="neither",
            mend=nearest(str(name_or_path), SAMPLES),
        )
    return _from_file(path)


def _indian_pines() -> Sample:
    """Surface-like reflectance; the shipped counts are 1000 + 500 L, L in µW cm⁻² nm⁻¹ sr⁻¹ (MultiSpec)."""
    try:
        from tensorly.datasets import load_indian_pines
    except ImportError as error:
        raise CubeError(
            "scene 'indian-pines'",
            expected="the package tensorly, which ships it",
            got=str(error),
            mend="Install the extra: pip install 'stsfusion[demo]'.",
        ) from error
    shipped = np.moveaxis(np.asarray(load_indian_pines().tensor), -1, 0)
    counts = undo_text_mode(np.ascontiguousarray(shipped, dtype=np.int64)).astype(np.float64)
    sensor = load_sensor("aviris")
    wavelengths = np.array([band.wavelength for band in sensor.pick(sensor.usable)])
    radiance = (counts - 1000.0) / 500.0 * 10.0
    apparent = apparent_reflectance(radiance, wavelengths, _ZENITH, _DISTANCE)
    return Sample(
        "indian-pines",
        "AVIRIS over Indian Pines, Indiana, 12 June 1992",
        flat_field(apparent, wavelengths).astype(np.float32),
        wavelengths,
        f"surface-like reflectance, by flat field from scaled radiance, sun {_ZENITH:g}° off the zenith",
        sensor.pixel,
    )


SAMPLES = {"indian-pines": _indian_pines}
"""Packaged scenes by name."""


def _from_file(path: Path) -> Sample:
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as file:
            cube = file["reflectance"].load()
            wavelengths = np.asarray(file["wavelength"], dtype=np.float64)
            facts = {**file.attrs, **cube.attrs}
    except (OSError, KeyError, ValueError) as error:
        raise CubeError(
            f"scene {path}", expected="a NetCDF file with 'reflectance' and 'wavelength'", got=str(error)
        ) from error
    if cube.ndim != 3 or len(wavelengths) != cube.shape[0]:
        raise CubeError(
            f"scene {path}",
            expected="reflectance (band, y, x) with one wavelength, nm, a band",
            got=f"{dict(cube.sizes)} and {len(wavelengths)} wavelengths",
            mend="Select one date.",
        )
    values = _scaled(np.asarray(cube), facts)
    alive = np.nan_to_num(values).any(axis=(1, 2))
    return _whole(path, values[alive], wavelengths[alive], facts)


def _scaled(counts: NDArray[np.generic], facts: Mapping[Hashable, Any]) -> NDArray[np.float32]:
    """Counts as reflectance, NaN where the file says that there is nothing."""
    scale, offset = float(facts.get("scale_factor", 1.0)), float(facts.get("add_offset", 0.0))
    values = np.asarray(counts, dtype=np.float32) * np.float32(scale) + np.float32(offset)
    for mark in ("nodata", "_FillValue", "missing_value"):
        if mark in facts:
            values[counts == float(facts[mark])] = np.nan
    return values


def _whole(
    path: Path, values: NDArray[np.float32], wavelengths: NDArray[np.float64], facts: Mapping[Hashable, Any]
) -> Sample:
    gaps = int((~np.isfinite(values).all(axis=0)).sum())
    if gaps or not len(values):
        raise CubeError(
            f"scene {path}",
            expected="reflectance without gaps",
            got=f"{gaps} pixels with gaps, {len(values)} bands with a signal",
            mend="Cut out an area without gaps.",
        )
    pixel = None
    with contextlib.suppress(ValueError):
        pixel = float(str(facts.get("gsd_m", "")))
    quantity = str(facts.get("quantity", "as in the file"))
    return Sample(path.stem, str(facts.get("title", path.name)), values, wavelengths, quantity, pixel)
