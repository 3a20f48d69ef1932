"""Which files of a folder are images of which product: by name alone, whatever their case and folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.sensor import Sensor, load_sensor, sensor_names

__all__ = ["Product", "files_below", "known_product", "known_sensor", "products"]

_DEPTH = 6
"""Folders below one another that are looked into."""


@dataclass(frozen=True)
class Product:
    """The images of one product that one instrument took."""

    sensor: Sensor
    """The instrument."""

    name: str
    """The product's name, without what tells its images apart."""

    rasters: dict[str, Path]
    """The image files that are there, by their names in the sensor's package."""

    doubles: list[Path]
    """Files that claim to be an image that is there already."""

    @property
    def folder(self) -> Path:
        """Where they lie, and their side files with them."""
        return min(self.rasters.values()).parent

    @property
    def ordered(self) -> list[tuple[str, Path]]:
        """The images in the order of the sensor's package."""
        package = self.sensor.package
        return [
            (key, self.rasters[key]) for key in (package.rasters if package else ()) if key in self.rasters
        ]

    @property
    def absent(self) -> list[str]:
        """Images that should be there."""
        package = self.sensor.package
        return [] if package is None else [name for name in package.rasters if name not in self.rasters]

    def beside(self, pattern: str) -> list[Path]:
        """Files in its folder whose names a pattern finds."""
        return [
            path for path in sorted(self.folder.iterdir()) if re.search(pattern, path.name, re.IGNORECASE)
        ]

    def part(self, path: Path) -> str | None:
        """What a file's name says after the product's name, without its suffix; None: it is of another."""
        stem = path.name.split(".xml")[0].split(".rpb")[0]
        stem = re.sub(r"\.[^.]{1,8}$", "", path.name) if stem == path.name else stem
        same = path.name.lower().startswith(self.name.lower())
        return stem[len(self.name) :].lower() if same else None


def files_below(home: Path, limits: Limits) -> list[Path]:
    """Every file below a delivery's folder, sorted; links are not followed, hidden files are none.

    Raises
    ------
    DeliveryError
        When there are more than a delivery can have.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(home, followlinks=False):
        folders.sort()
        if len(Path(place).relative_to(home).parts) >= _DEPTH:
            folders.clear()
        found += [Path(place, name) for name in files if not name.startswith(".")]
        if len(found) > limits.members:
            raise DeliveryError(
                f"folder {home}",
                expected=f"at most {limits.members} files",
                got="more",
                mend="Give each delivery a folder of its own.",
            )
    return sorted(found)


def products(files: Iterable[Path]) -> list[Product]:
    """The products that files are images of, by folder, name and sensor."""
    found: dict[tuple[Path, str, str], Product] = {}
    sensors = _sensors()
    for path in sorted(files):
        for sensor in sensors:
            if (raster := _raster(sensor, path.name)) is None:
                continue
            name, key = raster
            product = found.setdefault(
                (path.parent, name.lower(), sensor.name), Product(sensor, name, {}, [])
            )
            if key in product.rasters:
                product.doubles.append(path)
            product.rasters.setdefault(key, path)
    return [found[key] for key in sorted(found)]


def known_product(name: str) -> Sensor | None:
    """The first sensor whose products are named like this."""
    return next((sensor for sensor in _sensors() if _named(sensor, name)), None)


def known_sensor(name: str) -> Sensor:
    """A sensor by its name; its file is read once."""
    return next((sensor for sensor in _sensors() if sensor.name == name), None) or load_sensor(name)


def _sensors() -> tuple[Sensor, ...]:
    return _loaded(tuple(sensor_names()), Path.cwd())


@cache
def _loaded(names: tuple[str, ...], folder: Path) -> tuple[Sensor, ...]:
    """The sensors that are known in a working folder; their tables are long to read."""
    return tuple(load_sensor(name) for name in names)


def _named(sensor: Sensor, name: str) -> bool:
    patterns = sensor.package.products if sensor.package else ()
    return any(re.match(pattern, name, re.IGNORECASE) for pattern in patterns)


def _raster(sensor: Sensor, name: str) -> tuple[str, str] | None:
    """Product and image that a file's name tells."""
    for key, pattern in (sensor.package.rasters if sensor.package else {}).items():
        ending = re.search(pattern, name, re.IGNORECASE)
        if ending and _named(sensor, name[: ending.start()]):
            return name[: ending.start()], key
    return None
