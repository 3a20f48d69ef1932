"""What a cube must be; every fault is told at once, and small differences of form are mended.

A cube is an ordinary DataArray of reflectance, nominally 0 to 1::

    dims        (time, band, y, x)      float32
    time        datetime64, UTC, rising, unique
    band        names, unique; wavelength and fwhm (nm) along it, in the provider's order
    y, x        pixel centres, even; spatial_ref says where on Earth, if anywhere
    valid       bool, broadcastable to the cube: False is a gap, and a gap's value is NaN
"""

from __future__ import annotations

import warnings

import numpy as np
from xarray import DataArray

from stsfusion.cube.faults import form_faults, label_faults, nanometres
from stsfusion.cube.gaps import DIMS, validity, value_faults, with_gaps
from stsfusion.cube.georeference import axes_of, grid_of
from stsfusion.errors import CubeError

__all__ = ["DIMS", "check", "validity"]


def check(cube: DataArray, name: str = "cube", role: str | None = None, *, values: bool = True) -> DataArray:
    """The cube in its canonical form, or one error that tells every fault.

    Dims are brought into order, numbers to float32, times to nanoseconds, wavelengths to nanometres
    when their unit is stated, band names to text; `valid` and `spatial_ref` are always there afterwards.
    Bands keep their order.

    Parameters
    ----------
    cube
        (time, band, y, x) reflectance in any order of dims, in memory or lazy.
    name, role
        How messages call it.
    values
        Look at the values too, which reads a lazy cube once; False: labels alone.

    Raises
    ------
    CubeError
        Listing all faults with a mend for each.

    Warns
    -----
    UserWarning
        Of values below −0.2 or above 2, which are kept as they are.
    """
    where = f"cube '{name}'" + (f" (role {role})" if role and role != name else "")
    if not isinstance(cube, DataArray):
        raise CubeError(
            where,
            expected="an xarray DataArray",
            got=type(cube).__name__,
            mend="Of a Dataset give one variable: dataset['reflectance'].",
        )
    form = list(form_faults(cube))
    found, remarks = value_faults(cube) if values and not form else ([], [])
    faults = [*form, *label_faults(cube), *found]
    if faults:
        raise CubeError(
            where,
            expected="reflectance (time, band, y, x) with its coordinates",
            got="one fault" if len(faults) == 1 else f"{len(faults)} faults",
            mend="\n".join(f"  - {fault}" for fault in faults),
        )
    for remark in remarks:
        warnings.warn(f"{where}: {remark}", UserWarning, stacklevel=2)
    return with_gaps(_canonical(cube))


def _canonical(cube: DataArray) -> DataArray:
    """The same cube with its dims in order, dates in nanoseconds, names as text and lengths in nm."""
    coords: dict[str, object] = {"time": ("time", cube["time"].values.astype("datetime64[ns]"))}
    bands = cube["band"].values if "band" in cube.coords else np.arange(1, cube.sizes["band"] + 1)
    coords["band"] = ("band", np.array([str(band) for band in bands], dtype=object))
    for key in ("wavelength", "fwhm"):
        if key in cube.coords:
            factor = nanometres(cube[key].attrs.get("units", "nm"))
            lengths = np.asarray(cube[key].values, dtype=np.float64) * factor
            coords[key] = ("band", lengths, {"units": "nm"})
    coords["spatial_ref"] = axes_of(grid_of(cube, pixel=1.0))["spatial_ref"]
    canonical = cube.transpose(*DIMS).assign_coords(coords)
    canonical.attrs = {key: value for key, value in cube.attrs.items() if key != "grid_mapping"}
    canonical.encoding = dict(cube.encoding)
    return canonical
