"""From labels to grids and back: what a cube's y, x and spatial_ref say about the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.crs import CRS
from xarray import DataArray, Variable

from stsfusion.cube.grid import Grid, canonical_crs
from stsfusion.errors import CubeError

__all__ = ["axes_of", "grid_of", "reference_attributes"]

_UNEVEN = 1e-3
"""How far a coordinate may lie off an even grid, in pixels."""

_SQUARE = 1e-6
"""How far the two sides of a pixel may differ, relative."""


def reference_attributes(grid: Grid) -> dict[str, Any]:
    """Attributes of the CF variable 'spatial_ref', as GDAL and rioxarray read them too."""
    a, b, c, d, e, f = grid.transform
    attributes: dict[str, Any] = {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
    if grid.crs is None:
        return {"comment": "local grid, no reference system", **attributes}
    fields = CRS(grid.crs).proj.to_cf()
    return {**fields, "spatial_ref": fields["crs_wkt"], **attributes}


def axes_of(grid: Grid) -> dict[str, Variable]:
    """Coordinates y, x (pixel centres) and spatial_ref of a cube on this grid."""
    degrees = grid.crs is not None and CRS(grid.crs).geographic
    unit = "degree" if degrees else "m"
    names = {
        "y": "latitude" if degrees else "projection_y_coordinate",
        "x": "longitude" if degrees else "projection_x_coordinate",
    }
    axes = {
        axis: Variable((axis,), getattr(grid, axis), {"standard_name": names[axis], "units": unit})
        for axis in ("y", "x")
    }
    return {**axes, "spatial_ref": Variable((), np.int64(0), reference_attributes(grid))}


def grid_of(cube: DataArray, pixel: float | None = None) -> Grid:
    """The grid that a cube's coordinates y and x and its spatial_ref tell.

    Parameters
    ----------
    cube
        Anything with coordinates y and x of pixel centres.
    pixel
        Size of a pixel, needed only where neither the coordinates nor spatial_ref can tell.

    Raises
    ------
    CubeError
        When coordinates lack, are not even, or pixels are not square.
    """
    transform = _transform(cube)
    nominal = abs(transform[0]) if transform is not None else pixel
    y, x = _centres(cube, "y"), _centres(cube, "x")
    down, right = _step("y", y) or 0.0, _step("x", x) or 0.0
    size = abs(right) or abs(down) or nominal or 0.0
    down = down or (-size if transform is None or transform[4] < 0 else size)
    right = right or size
    if not size:
        raise CubeError("a cube of one pixel", expected="its size", mend="Give it: grid_of(cube, pixel=30).")
    if abs(abs(down) - size) > _SQUARE * size or right < 0:
        raise CubeError(
            "coordinates 'y' and 'x'",
            expected="square pixels, x rising",
            got=f"steps of {down:g} and {right:g}",
            mend="Resample the cube to square pixels, or turn it with cube.sortby('x').",
        )
    corner = (float(x[0] - right / 2), float(y[0] - down / 2))
    stated = transform is not None and _agree(transform, corner, size)
    if transform is not None and stated:
        size, corner = abs(transform[0]), (transform[2], transform[5])
    return Grid((len(y), len(x)), size, corner, _crs(cube), rising=down > 0)


def _centres(cube: DataArray, axis: str) -> NDArray[np.float64]:
    if axis not in cube.coords or cube[axis].dims != (axis,):
        raise CubeError(
            f"coordinate '{axis}'",
            expected=f"pixel centres along '{axis}'",
            got="none" if axis not in cube.coords else f"dims {cube[axis].dims}",
            mend="Add them: cube.assign_coords(y=grid.y, x=grid.x) with grid = Grid.local(shape, pixel).",
        )
    return np.asarray(cube[axis].values, dtype=np.float64)


def _step(axis: str, centres: NDArray[np.float64]) -> float | None:
    """Signed step of even centres; None where a single pixel cannot tell."""
    if len(centres) == 1:
        return None
    step = float((centres[-1] - centres[0]) / (len(centres) - 1))
    even = centres[0] + step * np.arange(len(centres))
    off = np.abs(centres - even)
    if np.isfinite(centres).all() and step and off.max() <= _UNEVEN * abs(step):
        return step
    worst = int(np.nanargmax(off)) if np.isfinite(off).any() else 0
    raise CubeError(
        f"coordinate '{axis}'",
        expected="evenly spaced pixel centres",
        got=f"{centres[worst]:.10g} at index {worst}, where {even[worst]:.10g} would be even",
        mend="Resample the cube to an even grid.",
    )


def _agree(transform: tuple[float, ...], corner: tuple[float, float], size: float) -> bool:
    """Whether spatial_ref still speaks of these coordinates: a cut cube keeps the old text."""
    off = max(abs(transform[2] - corner[0]), abs(transform[5] - corner[1]), abs(abs(transform[0]) - size))
    return off <= _UNEVEN * size


def _reference(cube: DataArray) -> dict[str, Any]:
    name = cube.encoding.get("grid_mapping", cube.attrs.get("grid_mapping", "spatial_ref"))
    name = name if name in cube.coords else "spatial_ref"
    return {str(k): v for k, v in cube.coords[name].attrs.items()} if name in cube.coords else {}


def _transform(cube: DataArray) -> tuple[float, ...] | None:
    """(a, b, c, d, e, f) from the 'c a b f d e' that GDAL writes into spatial_ref."""
    text = _reference(cube).get("GeoTransform")
    if text is None:
        return None
    c, a, b, f, d, e = (float(number) for number in str(text).split())
    return a, b, c, d, e, f


def _crs(cube: DataArray) -> str | None:
    attributes = _reference(cube)
    return canonical_crs(attributes.get("crs_wkt") or attributes.get("spatial_ref"))
