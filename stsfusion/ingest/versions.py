"""Versions: the same acquisition met more than once, in other forms or made anew; the newest stays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stsfusion.ingest.refusal import Refused
from stsfusion.sensing.dateline import box, middle
from stsfusion.sensing.scene import Scene

__all__ = ["newest", "once"]

_NEAR = 0.1
"""Share of its size by which a scene's place may differ from that of its newer self."""

_NEVER = datetime.min


def _rank(scene: Scene) -> tuple[datetime, bool, str]:
    """Newer before older, a folder before an archive, then by path: the order of finding is nothing."""
    return (scene.produced or _NEVER).replace(tzinfo=None), not scene.archive, scene.delivery


def once(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[str, str]], list[Refused]]:
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


def newest(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[str, str]]]:
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
