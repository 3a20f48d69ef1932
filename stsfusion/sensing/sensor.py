"""Sensor: what an instrument is, read from one catalog file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsfusion import resources
from stsfusion.errors import SensorError, nearest
from stsfusion.records import load, shown
from stsfusion.sensing.sensor_file import Group, Optics, Package, SensorFile, Sources
from stsfusion.sensing.spectra import Array, Curve, SpectralResponse, box, gaussian, table

__all__ = ["Band", "Optics", "Package", "Sensor", "Sources", "load_sensor", "sensor_names"]

_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(-[a-z0-9]+)*")
"""At most 64 letters, so that every name is one that a file can have."""


@dataclass(frozen=True, eq=False)
class Band:
    """One band of an instrument."""

    name: str
    """As in the product."""

    wavelength: float
    """Stated centre, nm."""

    fwhm: float
    """Full width at half maximum, nm."""

    curve: Curve
    """Response over wavelength."""

    noise: float | None
    """Standard deviation, reflectance; None: not known."""

    pixel: float
    """Side of a pixel on the ground, m."""

    flags: tuple[str, ...] = ()
    """What there is to know about it: 'water', 'overlap', 'edge_noise', …"""

    @property
    def low(self) -> float:
        """Where the response begins, nm."""
        return float(self.curve.nm[0])

    @property
    def high(self) -> float:
        """Where the response ends, nm."""
        return float(self.curve.nm[-1])


@dataclass(frozen=True, eq=False)
class Sensor:
    """One instrument: its bands, its optics, and how its deliveries look."""

    name: str
    """The catalog file's name without '.yaml'."""

    title: str
    """Name in words."""

    sources: Sources
    """Where each figure comes from."""

    pixel: float
    """Side of a pixel on the ground, m."""

    bands: tuple[Band, ...]
    """In the product's order, which need not be that of the wavelengths."""

    optics: Optics
    """How sharp and how clean the images are."""

    dropped: tuple[str, ...] = ()
    """Flags whose bands `usable` leaves out."""

    package: Package | None = None
    """How deliveries look; None: none are known."""

    @property
    def source(self) -> str:
        """Where the bands' figures come from."""
        return self.sources.bands

    @property
    def names(self) -> tuple[str, ...]:
        """(band,) the bands' names."""
        return tuple(band.name for band in self.bands)

    @property
    def usable(self) -> tuple[str, ...]:
        """The names of the bands that carry none of the flags in `dropped`."""
        return tuple(band.name for band in self.bands if not set(band.flags) & set(self.dropped))

    @property
    def wavelengths(self) -> Array:
        """(band,) stated centres, nm."""
        return np.array([band.wavelength for band in self.bands])

    @property
    def fwhm(self) -> Array:
        """(band,) full widths at half maximum, nm."""
        return np.array([band.fwhm for band in self.bands])

    def pick(self, names: Sequence[str]) -> tuple[Band, ...]:
        """Some of the bands, in the order asked for.

        Raises
        ------
        SensorError
            For a band that it does not have, with the nearest one it has.
        """
        known = {band.name: band for band in self.bands}
        for name in names:
            if name not in known:
                raise SensorError(
                    f"sensor '{self.name}'", expected="one of its bands", got=f"'{name}'",
                    mend=nearest(name, known),
                )  # fmt: skip
        return tuple(known[name] for name in names)

    def response(self, bands: Sequence[str] | None = None) -> SpectralResponse:
        """How these bands weigh the light; None: all of them."""
        chosen = self.bands if bands is None else self.pick(bands)
        return SpectralResponse(tuple(b.name for b in chosen), tuple(b.curve for b in chosen))


def sensor_names(near: Path | None = None) -> list[str]:
    """The instruments of all catalogs, by name.

    Parameters
    ----------
    near
        A folder with a catalogs/ of its own, such as a recipe's.
    """
    shelves = [shelf / "sensors" for shelf in resources.folders("catalogs", near)]
    return sorted({path.stem for shelf in shelves for path in shelf.glob("*.yaml") if _named(path.stem)})


def load_sensor(name_or_path: str | Path, near: Path | None = None) -> Sensor:
    """Read an instrument by its name in the catalogs, or from a file of one's own.

    Parameters
    ----------
    name_or_path
        'gf6-wfv', or a path that ends in '.yaml'.
    near
        A folder searched first, such as a recipe's.

    Raises
    ------
    SensorError
        For an unknown name, with the nearest known one; for a file that is wrong, with file and line.
    """
    path = _locate(str(name_or_path), near)
    file = load(path, SensorFile, error=SensorError)
    bands = tuple(band for group in file.groups for band in _bands(group, file.pixel, str(path)))
    _check_names(path, bands, file.dropped)
    return Sensor(
        path.stem, file.title, file.sources, file.pixel, bands, file.optics, file.dropped, file.package
    )


def _named(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _locate(text: str, near: Path | None) -> Path:
    if text.endswith(".yaml"):
        path = Path(text)
        if not _named(path.stem):
            raise SensorError(
                f"sensor {shown(text)}",
                expected="a file named in small letters, digits and single hyphens, 64 at most",
                got=shown(path.stem),
            )
        return near / path if near is not None and (near / path).is_file() else path
    path_or_none = resources.find("catalogs", f"sensors/{text}.yaml", near) if _named(text) else None
    if path_or_none is None:
        raise SensorError(
            f"sensor {shown(text)}", expected="a sensor of the catalogs, or a path that ends in .yaml",
            mend=nearest(text, sensor_names(near)),
        )  # fmt: skip
    return path_or_none


def _bands(group: Group, pixel: float, where: str) -> list[Band]:
    flags = {flag: _stretch(words, group.all, where) for flag, words in group.flags.items()}
    columns = [group.column(name) for name in ("noise", "pixel")]
    bands = []
    for index, (name, noise, own) in enumerate(zip(group.all, *columns, strict=True)):
        try:
            centre, width, curve = _shape(group, index, name)
        except SensorError as fault:
            raise SensorError(f"{where}: band {name}, {fault.where}", expected=fault.expected) from None
        marks = tuple(flag for flag, names in flags.items() if name in names)
        bands.append(Band(name, centre, width, curve, noise, own or pixel, marks))
    return bands


def _shape(group: Group, index: int, name: str) -> tuple[float, float, Curve]:
    """A band's stated centre and width, nm, and its response."""
    if group.shape == "box":
        low, high = (group.column(edge)[index] or 0.0 for edge in ("low", "high"))
        return (low + high) / 2, high - low, box(low, high)
    centre, width = (group.column(figure)[index] or 0.0 for figure in ("wavelength", "fwhm"))
    if group.shape == "gaussian":
        return centre, width, gaussian(centre, width)
    tabled = group.tables[name]
    grid = tabled.start + tabled.step * np.arange(len(tabled.values))
    return centre, width, table(grid, tabled.values)


def _stretch(words: Sequence[str], names: Sequence[str], where: str) -> set[str]:
    """The bands that a flag names, one by one or as 'first..last'."""
    found: set[str] = set()
    for word in words:
        first, dots, last = word.partition("..")
        for edge in (first, last) if dots else (first,):
            if edge not in names:
                raise SensorError(f"{where}: flags", expected="bands of their group", got=f"'{edge}'",
                                  mend=nearest(edge, names))  # fmt: skip
        found.update(names[names.index(first) : names.index(last or first) + 1])
    return found


def _check_names(path: Path, bands: Sequence[Band], dropped: Sequence[str]) -> None:
    names = [band.name for band in bands]
    if doubles := {name for name in names if names.count(name) > 1}:
        raise SensorError(str(path), expected="each band once", got=f"'{sorted(doubles)[0]}' twice")
    flags = {flag for band in bands for flag in band.flags}
    if unknown := set(dropped) - flags:
        word = sorted(unknown)[0]
        raise SensorError(f"{path}: dropped", expected="flags of its bands", got=f"'{word}'",
                          mend=nearest(word, flags))  # fmt: skip
