"""A user's own cubes: NetCDF, GeoTIFF stacks and foreign Zarr, lazy and in canonical form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from xarray import DataArray

from stsfusion.cube.gaps import GAP_KEYS, declared_gap
from stsfusion.cube.gridded import read_gridded
from stsfusion.cube.rasters import read_rasters
from stsfusion.cube.schema import check
from stsfusion.cube.source import Source
from stsfusion.errors import CubeError

__all__ = ["open_cube"]


def open_cube(
    place: str | Path | Sequence[str | Path] | Mapping[str, Any], name: str = "cube", role: str | None = None
) -> DataArray:
    """A cube from local files, lazy: float32 reflectance, gaps NaN and said by `valid`, labels checked.

    Parameters
    ----------
    place
        A NetCDF file, a Zarr folder, a folder or list of GeoTIFF files (one a date), or a mapping with 'path'
        and whatever the files do not tell themselves: variable, group, times, wavelength (nm), fwhm (nm),
        nodata (stored), scale (reflectance of one count), pixel (m).
    name, role
        How messages call it.

    Returns
    -------
    DataArray
        As schema.check gives it; its values are not looked at yet: check(cube) does.

    Raises
    ------
    CubeError
        When a file is not local, cannot be read, or is no cube.
    """
    source = Source.of(place)
    stored = read_rasters(source) if source.kind == "geotiff" else read_gridded(source)
    return check(_told(_decoded(stored, source), source), name, role, values=False)


def _decoded(stored: DataArray, source: Source) -> DataArray:
    """Reflectance in float32 from stored numbers: gaps are found before anything is scaled."""
    scale = source.scale if source.scale is not None else float(stored.attrs.get("scale_factor", 1.0))
    offset = 0.0 if source.scale is not None else float(stored.attrs.get("add_offset", 0.0))
    gap = source.nodata if source.nodata is not None else declared_gap(stored)
    if np.issubdtype(stored.dtype, np.integer) and scale == 1.0 and offset == 0.0:
        raise CubeError(
            f"cube {source.name}",
            expected="counts with a scale",
            got=f"{stored.dtype} without one",
            mend="Give it: scale=1e-4.",
        )
    values = stored.drop_vars("valid", errors="ignore")
    reflectance = (values.astype(np.float32) * np.float32(scale) + np.float32(offset)).transpose(*stored.dims)
    reflectance.attrs = {
        key: value
        for key, value in stored.attrs.items()
        if key not in {"scale_factor", "add_offset", "grid_mapping", *GAP_KEYS}
    }
    reflectance.encoding = {}
    known = _known(values.reset_coords(drop=True), gap)
    if "valid" in stored.coords:
        stated = stored.coords["valid"].reset_coords(drop=True).astype(bool)
        known = stated if known is None else known & stated
    return reflectance if known is None else reflectance.assign_coords(valid=known)


def _known(stored: DataArray, gap: float | None) -> DataArray | None:
    """Where stored numbers are no gap; None where nothing says what a gap is."""
    if gap is None:
        return None
    return stored.notnull() if np.isnan(gap) else stored.notnull() & (stored != gap)


def _told(cube: DataArray, source: Source) -> DataArray:
    """The cube with the wavelengths that the caller tells."""
    for key, lengths in (("wavelength", source.wavelength), ("fwhm", source.fwhm)):
        if lengths is None:
            continue
        bands = cube.sizes["band"]
        if len(lengths) != bands:
            raise CubeError(
                f"cube {source.name}", expected=f"{bands} numbers in '{key}'", got=f"{len(lengths)}"
            )
        cube = cube.assign_coords({key: ("band", np.asarray(lengths), {"units": "nm"})})
    return cube
