"""A folder of deliveries as a static STAC catalog: one collection an instrument, one item a scene."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pystac

from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import Refused
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.survey import Survey, survey
from stsfusion.sensing.dateline import around, box
from stsfusion.sensing.scene import Scene
from stsfusion.sensing.stac import CatalogError
from stsfusion.sensing.stacitem import to_item

__all__ = ["Built", "build_catalog", "refused_in", "strange_in"]

_MARK, _REFUSED, _STRANGE = "stsfusion:deliveries", "stsfusion:refused", "stsfusion:unrecognised"


@dataclass(frozen=True)
class Built:
    """A catalog, and what was found on the way."""

    path: Path
    """Its folder."""

    found: Survey
    """Scenes, bad deliveries, and those met twice."""

    changed: bool
    """False when the catalog was there, and right, already."""


def build_catalog(
    folder: Path,
    out: Path,
    *,
    allow_missing: bool = False,
    limits: Limits | None = None,
    watch: Callable[[Path], None] | None = None,
    before: Remembered | None = None,
) -> Built:
    """Look at the deliveries below a folder, and write their catalog.

    The catalog appears, or changes, as a whole; when nothing is new, no byte of it is touched. Options are
    those of `survey`.

    Raises
    ------
    DeliveryError
        When there is no such folder, or nothing in it that might be a delivery; what is wrong with single
        deliveries is told in the result.
    CatalogError
        When `out` holds something else than such a catalog.
    """
    _mine(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    try:
        found = survey(
            folder,
            scratch / "look",
            allow_missing=allow_missing,
            limits=limits,
            skip=out,
            watch=watch,
            before=before,
        )
        new = scratch / "new"
        _write(found, folder, out, new)
        changed = not _equal(new, out)
        if changed:
            if out.exists():
                out.rename(scratch / "old")
            new.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Built(out, found, changed)


def refused_in(catalog: Path) -> list[str]:
    """Why deliveries were refused when a catalog was built; nothing for catalogs of others."""
    return _reasons(catalog, _REFUSED)


def strange_in(catalog: Path) -> list[str]:
    """Why images and archives were not recognised when a catalog was built."""
    return _reasons(catalog, _STRANGE)


def _reasons(catalog: Path, field: str) -> list[str]:
    found = json.loads((catalog / "catalog.json").read_text(encoding="utf-8")).get(field, ())
    return [str(one["reason"]) for one in found]


def _mine(out: Path) -> None:
    """Only a catalog of this kind, or nothing, is overwritten."""
    if not out.exists():
        return
    try:
        mine = _MARK in (out / "catalog.json").read_text(encoding="utf-8")
    except OSError:
        mine = out.is_dir() and not any(out.iterdir())
    if not mine:
        raise CatalogError(
            f"folder {out}",
            expected="a catalog that stsfusion wrote, or nothing",
            got="something else",
            mend="Choose another place.",
        )


def _write(found: Survey, folder: Path, out: Path, new: Path) -> None:
    """The catalog as it will be at `out`, written to `new`."""
    root = pystac.Catalog(out.name, f"Scenes of {folder.name}", title=out.name)
    root.extra_fields = {
        _MARK: os.path.relpath(folder, out),
        _REFUSED: _told(found.refused, folder),
        _STRANGE: _told(found.strange, folder),
        "stsfusion:repeated": [[os.path.relpath(path, folder), name] for path, name in found.repeated],
        "stsfusion:superseded": [list(pair) for pair in found.superseded],
    }
    for name in sorted({scene.sensor for scene in found.scenes}):
        root.add_child(_collection(name, [scene for scene in found.scenes if scene.sensor == name], out))
    root.normalize_hrefs(str(new))
    root.save(pystac.CatalogType.SELF_CONTAINED)


def _told(refused: Sequence[Refused], folder: Path) -> list[dict[str, str]]:
    """What could not be used, by paths from the folder."""
    return [
        {
            "delivery": os.path.relpath(one.delivery, folder),
            "reason": one.reason.replace(f"{folder}{os.sep}", ""),
        }
        for one in refused
    ]


def _collection(name: str, scenes: Sequence[Scene], out: Path) -> pystac.Collection:
    whole = list(around([box(scene.footprint) for scene in scenes]))
    times = [scene.time for scene in scenes]
    extent = pystac.Extent(pystac.SpatialExtent([whole]), pystac.TemporalExtent([[min(times), max(times)]]))
    collection = pystac.Collection(name, known_sensor(name).title, extent, license="other")
    for scene in scenes:
        # An item lies in COLLECTION/ITEM/, three levels below the catalog's own folder.
        home = out / name / scene.name
        hrefs = {file.path: _href(scene, file.path, home) for file in scene.files}
        collection.add_item(to_item(scene, hrefs))
    return collection


def _href(scene: Scene, path: str, home: Path) -> str:
    target = Path(scene.delivery) if scene.archive else Path(scene.delivery) / path
    return Path(os.path.relpath(target.absolute(), home.absolute())).as_posix()


def _equal(new: Path, old: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""

    def listed(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    return old.is_dir() and listed(new) == listed(old)
