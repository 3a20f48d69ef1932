"""Survey: every delivery below a folder, looked at; what is bad is told and holds up no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from stsfusion.errors import StsfusionError
from stsfusion.ingest.archive import archive_stem, unpacked
from stsfusion.ingest.files import digest
from stsfusion.ingest.finding import Product, files_below, known_product, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import envi_scene, tiff_scene
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.dateline import box, middle
from stsfusion.sensing.scene import Scene

__all__ = ["Refused", "Survey", "survey"]

_IMAGES = (".tif", ".tiff", ".geotiff")
_NEAR = 0.1
"""Share of its size by which a scene's place may differ from that of its newer self."""

_NEVER = datetime.min


@dataclass(frozen=True)
class Refused:
    """A delivery that cannot be used."""

    delivery: str
    """Its path, as found."""

    reason: str
    """What is wrong, and what to do."""


@dataclass(frozen=True)
class Survey:
    """What lies below a folder."""

    scenes: tuple[Scene, ...]
    """Each acquisition once, in its newest form, by time."""

    refused: tuple[Refused, ...]
    """What is bad, and why."""

    repeated: tuple[tuple[str, str], ...]
    """(delivery, scene) met again in another form."""

    superseded: tuple[tuple[str, str], ...]
    """(scene, newer scene) of the same moment and place, made again by the provider."""


@dataclass(frozen=True)
class _Looking:
    """How to look, and where to unpack."""

    scratch: Path
    limits: Limits
    allow_missing: bool
    skip: Path | None
    watch: Callable[[Path], None]


def survey(
    folder: Path,
    scratch: Path,
    *,
    allow_missing: bool = False,
    limits: Limits | None = None,
    skip: Path | None = None,
    watch: Callable[[Path], None] | None = None,
) -> Survey:
    """Look at every delivery below a folder: archives, unpacked products, ENVI cubes, GeoTIFFs with notes.

    Parameters
    ----------
    scratch
        Where archives are unpacked for the look, and removed again.
    allow_missing
        Take products of which an image is missing.
    skip
        A folder that is not looked into.
    watch
        Called with each delivery's path before it is looked at.
    """
    if not folder.is_dir():
        raise DeliveryError(f"folder {folder}", expected="a folder of deliveries", got="none")
    looking = _Looking(
        scratch, limits or Limits(), allow_missing, skip and skip.resolve(), watch or (lambda path: None)
    )
    found = list(_walk(folder, looking))
    scenes = [one for one in found if isinstance(one, Scene)]
    refused = [one for one in found if isinstance(one, Refused)]
    scenes, repeated, clashing = _once(scenes)
    scenes, superseded = _newest(scenes)
    return Survey(
        tuple(sorted(scenes, key=lambda scene: (scene.time, scene.sensor, scene.name))),
        tuple(sorted([*refused, *clashing], key=lambda one: (one.delivery, one.reason))),
        tuple(sorted(repeated)),
        tuple(sorted(superseded)),
    )


def _walk(folder: Path, looking: _Looking) -> Iterator[Scene | Refused]:
    """Folder by folder, in the order of names."""
    for place, folders, names in os.walk(folder, followlinks=False):
        here = Path(place)
        if here.resolve() == looking.skip:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (_linked(here / name) for name in folders if (here / name).is_symlink())
        files = sorted(here / name for name in names if not name.startswith("."))
        for path in files:
            if archive_stem(path) is not None:
                looking.watch(path)
                yield from _archive(path, looking)
        loose = [path for path in files if archive_stem(path) is None]
        seen = list(_look(here, loose, looking))
        yield from seen
        if not seen and not folders and here != folder and known_product(here.name) is not None:
            yield Refused(str(here), f"{here}: expected the images of a product, got none.")


def _linked(path: Path) -> Refused:
    """A folder elsewhere: links may lead in circles or astray, and are not followed."""
    return Refused(
        str(path),
        f"{path}: expected a folder, got a link to one.\nCopy the delivery here, or name its own folder.",
    )


def _archive(path: Path, looking: _Looking) -> Iterator[Scene | Refused]:
    try:
        total = digest(path)
        with unpacked(path, looking.scratch, looking.limits) as home:
            found = list(_look(home, files_below(home, looking.limits), looking))
            # What is wrong in the archive is told of the archive, not of a folder that is gone.
            found = [
                Refused(str(path), one.reason.replace(str(home), str(path))) if isinstance(one, Refused)
                else replace(one, delivery=str(path), archive=total)
                for one in found
            ]  # fmt: skip
    except StsfusionError as fault:
        yield Refused(str(path), str(fault))
        return
    yield from found or [Refused(str(path), f"archive {path}: expected a known product in it, got none.")]


def _look(home: Path, files: Sequence[Path], looking: _Looking) -> Iterator[Scene | Refused]:
    """Each product and each loose image among some files."""
    limits, known = looking.limits, products(files)
    ours = {path for product in known for path in (*product.rasters.values(), *product.doubles)}
    for product in known:
        looking.watch(product.folder / product.name)
        yield _tried(home / product.name, _product, product, home, looking)
    data = set()
    for path in files:
        if path.suffix.lower() == ".hdr":
            looking.watch(path)
            data |= {path.with_suffix(""), *(path.with_suffix(end) for end in (".dat", ".img"))}
            yield _tried(path, envi_scene, path, home, limits)
    for path in files:
        if path.suffix.lower() in _IMAGES and path not in ours | data:
            looking.watch(path)
            yield _tried(path, tiff_scene, path, home, limits)


def _product(product: Product, home: Path, looking: _Looking) -> Scene:
    return product_scene(product, home, allow_missing=looking.allow_missing, limits=looking.limits)


def _tried(path: Path, read: Callable[..., Scene], *given: object) -> Scene | Refused:
    try:
        return read(*given)
    except StsfusionError as fault:
        return Refused(str(path), str(fault))
    except OSError as fault:
        return Refused(str(path), f"{path}: {fault.strerror or fault}")


def _rank(scene: Scene) -> tuple[datetime, bool, str]:
    """Newer before older, a folder before an archive, then by path: the order of finding is nothing."""
    return (scene.produced or _NEVER).replace(tzinfo=None), not scene.archive, scene.delivery


def _once(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[str, str]], list[Refused]]:
    """Each product once: equal images under one name are one delivery, unequal ones the newer of two."""
    kept: dict[tuple[str, str], Scene] = {}
    repeated, clashing = [], []
    for scene in sorted(scenes, key=lambda one: _rank(one)[2]):
        key = scene.sensor, scene.name.lower()
        other = kept.setdefault(key, scene)
        if other is scene:
            continue
        if _images(other) != _images(scene) and _rank(other)[0] == _rank(scene)[0]:
            clashing.append(
                Refused(
                    scene.delivery,
                    f"{scene.name}: expected the images of {other.delivery}, which "
                    "has the same name and date of production, got others.",
                )
            )
            continue
        first, second = sorted((other, scene), key=lambda one: (_rank(one)[0], _rank(one)[1]), reverse=True)
        kept[key] = first
        repeated.append((second.delivery, first.name))
    return list(kept.values()), repeated, clashing


def _images(scene: Scene) -> set[str]:
    return {file.sha256 for file in scene.files if file.role == "raster"}


def _newest(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[str, str]]]:
    """Of scenes of one moment and place the one that was made last."""
    kept: list[Scene] = []
    superseded = []
    for scene in sorted(scenes, key=lambda one: (_rank(one)[0], one.name), reverse=True):
        newer = next((one for one in kept if _same(one, scene)), None)
        if newer is None:
            kept.append(scene)
        else:
            superseded.append((scene.name, newer.name))
    return kept, superseded


def _same(one: Scene, other: Scene) -> bool:
    if (one.platform, one.sensor, one.time) != (other.platform, other.sensor, other.time):
        return False
    west, south, east, north = box(one.footprint)
    size = max((east - west) % 360, north - south)
    (lon, lat), (its_lon, its_lat) = middle(one.footprint), middle(other.footprint)
    return abs((lon - its_lon + 180) % 360 - 180) < _NEAR * size and abs(lat - its_lat) < _NEAR * size
