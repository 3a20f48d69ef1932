"""Source: where a user's own cube lies and what its files do not say; local files of known kinds alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from stsfusion.errors import CubeError, nearest

__all__ = ["Source", "date_in"]

Kind = Literal["netcdf", "geotiff", "zarr"]

_SUFFIXES: dict[str, Kind] = {
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".cdf": "netcdf",
    ".h5": "netcdf",
    ".tif": "geotiff",
    ".tiff": "geotiff",
    ".geotiff": "geotiff",
    ".zarr": "zarr",
}
"""Kinds of files by suffix; nothing else is opened, so no file can lead elsewhere."""

_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[T_]?([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d))?(?!\d)"
)
"""20211213, 2021-12-13, 20211213T011812, 2021-12-13T01:18:12."""


@dataclass(frozen=True)
class Source:
    """A cube in files."""

    paths: tuple[Path, ...]
    """One NetCDF file or Zarr folder, or GeoTIFF files, one a date."""

    variable: str | None = None
    """Which variable of a NetCDF or Zarr; None: 'reflectance', or the only one that can be meant."""

    group: str | None = None
    """Which group of a NetCDF or Zarr."""

    times: tuple[np.datetime64, ...] | None = None
    """Dates in the files' order; None: as the files or their names tell."""

    wavelength: tuple[float, ...] | None = None
    """(band,) nm; None: as the files tell."""

    fwhm: tuple[float, ...] | None = None
    """(band,) nm; None: as the files tell."""

    nodata: float | None = None
    """Stored number that stands for a gap; None: as the files tell."""

    scale: float | None = None
    """Reflectance of one stored count; None: as the files tell."""

    pixel: float | None = None
    """Size of a pixel, m, where the files have no coordinates at all."""

    @classmethod
    def of(cls, place: str | Path | Sequence[str | Path] | Mapping[str, Any]) -> Source:
        """A source from a path, GeoTIFF paths, or a mapping with 'path' and any of the other fields.

        Raises
        ------
        CubeError
            When a key is not known, or a path is not local, not there, or of no known kind.
        """
        if not isinstance(place, Mapping):
            return cls(_files(place))
        known = ["path", *(part.name for part in fields(cls) if part.name != "paths")]
        for key in place:
            if key not in known:
                raise CubeError(f"cube source, key '{key}'", expected="a known key", mend=nearest(key, known))
        if "path" not in place:
            raise CubeError("cube source", expected="a key 'path'", got=", ".join(place))
        told = {key: _told(key, value) for key, value in place.items() if key != "path" and value is not None}
        return cls(_files(place["path"]), **told)

    @property
    def kind(self) -> Kind:
        """What kind of file it is, by its suffix."""
        return _kind(self.paths[0])

    @property
    def name(self) -> str:
        """How messages call it."""
        first = str(self.paths[0])
        return first if len(self.paths) == 1 else f"{first} and {len(self.paths) - 1} more"


def date_in(text: str) -> np.datetime64 | None:
    """The one date that a name or tag holds, UTC; None when there is none.

    Raises
    ------
    CubeError
        When it holds two different ones.
    """
    found = set()
    for year, _, month, day, *clock in _DATE.findall(text):
        moment = "T" + ":".join(clock) if clock[0] else ""
        found.add(np.datetime64(f"{year}-{month}-{day}{moment}", "ns"))
    days = {date.astype("datetime64[D]") for date in found}
    if len(days) > 1:
        raise CubeError(
            f"'{text}'",
            expected="one date in the name",
            got=", ".join(sorted(str(day) for day in days)),
            mend="Give the dates yourself: times=[...].",
        )
    return max(found) if found else None


def _moment(value: Any) -> np.datetime64:
    """A date that was told, in UTC; text may name a zone, and must name a year, so that 'today' is none."""
    text = str(value)
    try:
        if not re.match(r"(?:19|20)\d\d", text):
            raise ValueError("no year in front")
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise CubeError(
            "cube source, key 'times'",
            expected="dates",
            got=f"{text[:40]!r} ({str(error)[:80]})",
            mend="Write 2021-12-13 or 2021-12-13T03:10:00.",
        ) from None
    utc = moment if moment.tzinfo is None else moment.tz_convert("UTC").tz_localize(None)
    return utc.to_datetime64().astype("datetime64[ns]")


def _told(key: str, value: Any) -> Any:
    if key == "times":
        several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        return tuple(_moment(item) for item in several)
    if key in ("wavelength", "fwhm"):
        return tuple(float(number) for number in np.asarray(value, dtype=np.float64).reshape(-1))
    return float(value) if key in ("nodata", "scale", "pixel") else str(value)


def _files(place: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    if isinstance(place, str | Path):
        path = _local(place)
        if not path.is_dir() or _is_zarr(path):
            _kind(path)
            return (path,)
        found = sorted(file for file in path.iterdir() if _SUFFIXES.get(file.suffix.lower()) == "geotiff")
        return _several(found, f"folder {path}")
    return _several([_local(path) for path in place], "list of files")


def _several(paths: Iterable[Path], where: str) -> tuple[Path, ...]:
    found = tuple(paths)
    others = [path for path in found if _kind(path) != "geotiff"]
    if not found or (others and len(found) > 1):
        raise CubeError(
            where,
            expected="GeoTIFF files, one a date",
            got=", ".join(map(str, others)) or "none",
            mend="Give one NetCDF or Zarr, or GeoTIFF files alone.",
        )
    return found


def _local(place: str | Path) -> Path:
    text = str(place)
    if "://" in text or text.startswith(("/vsi", "<", "NETCDF:", "HDF5:")) or text.lower().endswith(".vrt"):
        raise CubeError(
            f"path '{text}'",
            expected="a local file or folder",
            got="a web address, or a file that leads to others",
            mend="Download it, or turn a VRT into a GeoTIFF with gdal_translate.",
        )
    path = Path(text).expanduser()
    if not path.exists():
        raise CubeError(f"path '{text}'", expected="a file or folder", got="nothing there")
    return path


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" or any(
        (path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata")
    )


def _kind(path: Path) -> Kind:
    if path.is_dir() and _is_zarr(path):
        return "zarr"
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None or path.is_dir():
        raise CubeError(
            f"path '{path}'",
            expected="a NetCDF (.nc), GeoTIFF (.tif) or Zarr",
            got=f"suffix '{path.suffix}'",
            mend="Convert it to one of these, or open it yourself and give the DataArray.",
        )
    return kind
