"""Catalog: the scenes of a static STAC catalog, read from files below one folder and nowhere else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac

from stsfusion import resources
from stsfusion.errors import nearest
from stsfusion.sensing.dateline import Box, box, overlap
from stsfusion.sensing.scene import Scene
from stsfusion.sensing.stac import CatalogError, from_item, in_words

__all__ = ["Catalog", "find_catalog", "open_catalog"]

_LARGEST = 16 * 2**20
_MOST = 100_000
"""Bytes of one file, and files of one catalog."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")

_ASTRAY = re.compile(r"\\|[\x00-\x1f\x7f]|^[A-Za-z]:")
"""What no path inside a delivery has: another system's separators, control characters, drives."""


@dataclass(frozen=True)
class Catalog:
    """Scenes, by time."""

    path: Path
    """The folder."""

    scenes: tuple[Scene, ...]
    """All of them, rising in time."""

    def find(
        self,
        sensor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        bounds: Box | None = None,
    ) -> tuple[Scene, ...]:
        """Scenes of an instrument, a time and a place.

        Parameters
        ----------
        since, until
            First moment, and the first that is too late; aware of their zone.
        bounds
            (west, south, east, north), degrees, west larger than east across the meridian of 180°; scenes
            whose box touches them.
        """
        return tuple(
            scene for scene in self.scenes
            if (sensor is None or scene.sensor == sensor)
            and (since is None or scene.time >= since)
            and (until is None or scene.time < until)
            and (bounds is None or _touches(scene, bounds))
        )  # fmt: skip


def _touches(scene: Scene, bounds: Box) -> bool:
    return overlap(box(scene.footprint), bounds)


def find_catalog(name: str | Path, near: Path | None = None) -> Path:
    """The folder of a catalog by its name in catalogs/scenes, or by its path.

    Raises
    ------
    CatalogError
        When there is none, with the nearest one that is.
    """
    if (Path(name) / "catalog.json").is_file():
        return Path(name)
    found = resources.find("catalogs", f"scenes/{name}", near)
    if found is None or not (found / "catalog.json").is_file():
        shelves = [shelf / "scenes" for shelf in resources.folders("catalogs", near)]
        known = {path.parent.name for shelf in shelves for path in shelf.glob("*/catalog.json")}
        raise CatalogError(
            f"scenes '{name}'", expected="a catalog of scenes", got="none", mend=nearest(str(name), known)
        )
    return found


def open_catalog(path: str | Path, deliveries: Sequence[Path] = (), *, anywhere: bool = False) -> Catalog:
    """Read a catalog.

    Parameters
    ----------
    path
        Its folder.
    deliveries
        Folders, besides its own, that its files may lie in.
    anywhere
        Let them lie anywhere on this machine; for catalogs of one's own.

    Raises
    ------
    CatalogError
        For a file that is no STAC, an address that leads elsewhere, or an item that is no scene.
    """
    home = Path(path)
    allowed = [home.resolve(), *(Path(folder).resolve() for folder in deliveries)]
    scenes = [_scene(item, file, None if anywhere else allowed) for item, file in _items(home)]
    return Catalog(home, tuple(sorted(scenes, key=lambda scene: (scene.time, scene.sensor, scene.name))))


def _items(home: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """Every item below the root, with its file; each file once, so that circles end."""
    root = home.resolve()
    waiting, seen = [_inside(root, "catalog.json", [root], home)], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        if len(seen) > _MOST:
            raise CatalogError(f"catalog {home}", expected=f"at most {_MOST} files", got="more")
        found = _json(file)
        if found.get("type") == "Feature":
            yield found, file
            continue
        for link in found.get("links", ()):
            if isinstance(link, dict) and link.get("rel") in ("child", "item"):
                waiting.append(_inside(file.parent, str(link.get("href")), [root], file))


def _json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise CatalogError(
                f"file {file}", expected=f"at most {_LARGEST} bytes", got=f"{file.stat().st_size}"
            )
        found = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as fault:
        raise CatalogError(f"file {file}", expected="STAC in JSON", got=str(fault)[:100]) from None
    if not isinstance(found, dict) or not isinstance(found.get("links", []), list):
        raise CatalogError(f"file {file}", expected="STAC in JSON", got="other JSON")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text}, which is no number")


def _inside(base: Path, href: str, allowed: Sequence[Path] | None, where: Path) -> Path:
    """The file that an address means; links are followed before it is asked where it lies."""
    if _SCHEME.match(href) or href.startswith(("//", "/vsi", "\\")) or "\0" in href:
        raise CatalogError(f"file {where}", expected="addresses of files on this machine", got=href[:120])
    place = Path(os.path.realpath(base / href))
    if allowed is not None and not any(place.is_relative_to(folder) for folder in allowed):
        raise CatalogError(
            f"file {where}", expected="addresses below the catalog or the deliveries", got=href[:120],
            mend="Name the folder that the deliveries are in, if you trust this catalog.",
        )  # fmt: skip
    return place


def _scene(found: dict[str, Any], file: Path, allowed: Sequence[Path] | None) -> Scene:
    try:
        item = pystac.Item.from_dict(found)
        assets = [(asset.href, asset.extra_fields) for asset in item.assets.values()]
        ways = {(href, str(said["stsfusion:path"]), bool(said["stsfusion:packed"])) for href, said in assets}
    except Exception as fault:
        raise CatalogError(
            f"file {file}",
            expected="an item as `stsfusion catalog build` writes it",
            got=in_words(fault),
        ) from None
    deliveries = {
        _delivery(_inside(file.parent, href, allowed, file), inner, packed, file)
        for href, inner, packed in ways
    }
    if len(deliveries) != 1:
        raise CatalogError(f"file {file}", expected="files of one delivery", got=f"{len(deliveries)}")
    return from_item(item, str(deliveries.pop()), f"file {file}")


def _delivery(place: Path, inner: str, packed: bool, file: Path) -> Path:
    """The archive itself, or the folder above a file's own path."""
    parts = _way(inner, file)
    if packed:
        return place
    if place.parts[-len(parts) :] != parts:
        raise CatalogError(f"file {file}", expected=f"an address that ends in {inner}", got=str(place))
    return Path(*place.parts[: -len(parts)])


def _way(inner: str, file: Path) -> tuple[str, ...]:
    """The parts of a file's path below its delivery, which must not lead out of it, on any system."""
    parts = tuple(inner.split("/"))
    if not set(parts).isdisjoint(("", ".", "..")) or _ASTRAY.search(inner):
        raise CatalogError(
            f"file {file}: stsfusion:path",
            expected="the path of a file inside its delivery",
            got=repr(inner[:120]),
            mend="Build the catalog anew, and do not trust who sent this one.",
        )
    return parts
