"""netcdf: the whole series in one NetCDF 4 file after the CF conventions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from stsfusion.cube.georeference import axes_of
from stsfusion.export.format import Format, Watch
from stsfusion.export.part import Block, Part
from stsfusion.export.quantity import Quantity, flag_attributes

__all__ = ["NetCdf"]

_CHUNK = 2**20
"""What a chunk may take unpacked, bytes: readers far away and readers of one band alike are served."""


class NetCdf(Format):
    """(time, band, y, x) packed integers with their scale and gap, wavelengths, grid mapping, flags."""

    title = "CF NetCDF 4, the whole series in one file"

    def files(self, part: Part) -> list[str]:
        """One."""
        return [f"{part.stem}.nc"]

    def write(self, part: Part, folder: Path, watch: Watch) -> None:
        """Coordinates first, then every quantity block by block."""
        with h5netcdf.File(folder / self.files(part)[0], "w") as file:
            rows, cols = part.grid.shape
            file.dimensions = {"time": len(part.dates), "band": len(part.spec.bands), "y": rows, "x": cols}
            file.attrs.update(_globals(part))
            _write_axes(file, part)
            for quantity in part.quantities:
                _create(file, part, quantity)
            _write_quantities(file, part, watch)


def _globals(part: Part) -> dict[str, Any]:
    """Attributes of the file; what is nested becomes JSON."""
    told = {key: _attribute(value) for key, value in part.spec.attributes.items()}
    return {**told, "Conventions": "CF-1.11", "title": part.title, "history": "exported by stsfusion"}


def _attribute(value: object) -> str | int | float:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _write_axes(file: h5netcdf.File, part: Part) -> None:
    """Dates, bands and the ground."""
    spec = part.spec
    stamps = np.asarray([spec.times[i] for i in part.dates], dtype=np.int64)
    unit, step = ("milliseconds", 1) if (stamps % 1000).any() else ("seconds", 1000)
    when = {
        "standard_name": "time",
        "units": f"{unit} since 1970-01-01 00:00:00",
        "calendar": "proleptic_gregorian",
        "axis": "T",
    }
    _variable(file, "time", ("time",), stamps // step, when)
    names = np.asarray(spec.bands, dtype=object)
    _variable(file, "band", ("band",), names, {"long_name": "name of the band"}, h5py.string_dtype())
    centres = {"standard_name": "radiation_wavelength", "long_name": "centre of the band", "units": "nm"}
    _variable(file, "wavelength", ("band",), np.asarray(spec.wavelength), centres)
    if spec.fwhm is not None:
        widths = {"long_name": "full width at half maximum of the band", "units": "nm"}
        _variable(file, "fwhm", ("band",), np.asarray(spec.fwhm), widths)
    for name, axis in axes_of(part.grid).items():
        along = {"axis": name.upper()} if name in ("y", "x") else {}
        _variable(file, name, tuple(map(str, axis.dims)), np.asarray(axis.values), {**axis.attrs, **along})


def _variable(
    file: h5netcdf.File,
    name: str,
    dims: tuple[str, ...],
    values: np.ndarray,
    attributes: Mapping[str, Any],
    dtype: Any = None,
) -> None:
    made = file.create_variable(name, dims, dtype=dtype or values.dtype, data=values)
    made.attrs.update({key: _listed(value) for key, value in attributes.items()})


def _listed(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, (list, tuple)) else value


def _create(file: h5netcdf.File, part: Part, quantity: Quantity) -> None:
    """An empty variable, packed; a pixel that no block reaches does not exist."""
    spec, packing = part.spec, quantity.packing
    edges = tuple(min(part.edge, size) for size in part.grid.shape)
    bands = min(part.bands(quantity), max(1, _CHUNK // (2 * math.prod(edges))))
    middle: tuple[str, ...] = ("band",) if quantity.banded else ()
    made = file.create_variable(
        quantity.name,
        ("time", *middle, "y", "x"),
        dtype=quantity.dtype,
        fillvalue=None if packing is None else np.dtype(quantity.dtype).type(packing.gap),
        chunks=(1, *((bands,) if middle else ()), *edges),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    beside = {"coordinates": "wavelength fwhm" if spec.fwhm else "wavelength"} if middle else {}
    made.attrs.update({"long_name": quantity.title, "grid_mapping": "spatial_ref", **beside})
    if packing is None:
        flags = flag_attributes(spec)
        made.attrs.update({key: _flags(value, quantity) for key, value in flags.items()})
    else:
        made.attrs.update({"units": "1", "scale_factor": packing.scale, "add_offset": 0.0})


def _flags(value: Any, quantity: Quantity) -> Any:
    return value if isinstance(value, str) else np.asarray(value, dtype=quantity.dtype)


def _write_quantities(file: h5netcdf.File, part: Part, watch: Watch) -> None:
    steps = [
        (place, index, block, quantity)
        for place, index in enumerate(part.dates)
        for block in part.blocks()
        for quantity in part.quantities
    ]
    for done, (place, index, block, quantity) in enumerate(steps, start=1):
        counts = part.read(quantity, index, block)
        file[quantity.name][_index(quantity, place, block)] = counts if quantity.banded else counts[0]
        watch(done / len(steps), part.labels()[place])


def _index(quantity: Quantity, place: int, block: Block) -> tuple[int | slice, ...]:
    return (place, slice(None), *block.slices) if quantity.banded else (place, *block.slices)
