"""Dateline: boxes and outlines of scenes that may lie across the meridian of 180°.

::

    one ring of corners         178 ────── 181 (written -179)
    box                         west 178, east -179: west is larger, and only then
    outline                     [178 ── 180] and [-180 ── -179]

No scene is half as wide as the Earth: corners further than 180° apart lie across.

Source: RFC 7946 (GeoJSON), sections 3.1.9 and 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Box", "Ring", "around", "box", "middle", "outline", "overlap"]

Ring = Sequence[tuple[float, float]]
"""Corners (longitude, latitude), degrees, the first not repeated."""

Box = tuple[float, float, float, float]
"""(west, south, east, north), degrees; west larger than east across the meridian of 180°."""


def box(ring: Ring) -> Box:
    """The box around a scene."""
    lons, lats = zip(*_running(ring), strict=True)
    return _turned(min(lons)), min(lats), _turned(max(lons)), max(lats)


def middle(ring: Ring) -> tuple[float, float]:
    """The mean of the corners."""
    lons, lats = zip(*_running(ring), strict=True)
    return _turned(sum(lons) / len(lons)), sum(lats) / len(lats)


def around(boxes: Sequence[Box]) -> Box:
    """The narrowest box around all of them."""
    south, north = min(one[1] for one in boxes), max(one[3] for one in boxes)
    spans = sorted((one[0], one[0] + (one[2] - one[0]) % 360) for one in boxes)
    spans += [(start + 360, end + 360) for start, end in spans]
    widest, west, furthest = -1.0, spans[0][0], spans[0][1]
    for start, end in spans[1:]:
        # The box begins where the widest stretch of longitudes without any scene ends.
        if start - furthest > widest:
            widest, west, east = start - furthest, start, furthest
        furthest = max(furthest, end)
    return (_turned(west), south, _turned(east), north) if widest > 0 else (-180.0, south, 180.0, north)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes touch."""
    east = (other[0] - one[0]) % 360 <= (one[2] - one[0]) % 360
    west = (one[0] - other[0]) % 360 <= (other[2] - other[0]) % 360
    return (east or west) and one[1] <= other[3] and other[1] <= one[3]


def outline(ring: Ring) -> dict[str, Any]:
    """GeoJSON of a scene: a Polygon, or a MultiPolygon of what lies on either side of 180°."""
    running = _running(ring)
    if all(-180 <= lon <= 180 for lon, _ in running):
        return {"type": "Polygon", "coordinates": [_closed(running)]}
    west = _clipped(running, keep_below=True)
    east = [(lon - 360, lat) for lon, lat in _clipped(running, keep_below=False)]
    return {"type": "MultiPolygon", "coordinates": [[_closed(west)], [_closed(east)]]}


def _running(ring: Ring) -> list[tuple[float, float]]:
    """Corners without a jump: those across the meridian are counted on beyond 180°."""
    lons = [lon for lon, _ in ring]
    if max(lons) - min(lons) <= 180:
        return list(ring)
    return [(lon + 360 if lon < 0 else lon, lat) for lon, lat in ring]


def _clipped(ring: Ring, *, keep_below: bool) -> list[tuple[float, float]]:
    """The part of a ring on one side of 180° (Sutherland and Hodgman, 1974)."""
    kept: list[tuple[float, float]] = []
    for (lon, lat), (next_lon, next_lat) in zip(ring, [*ring[1:], ring[0]], strict=True):
        inside, next_inside = (edge <= 180 if keep_below else edge >= 180 for edge in (lon, next_lon))
        if inside:
            kept.append((lon, lat))
        if inside != next_inside:
            share = (180 - lon) / (next_lon - lon)
            kept.append((180.0, lat + share * (next_lat - lat)))
    return kept


def _closed(ring: Ring) -> list[list[float]]:
    return [[lon, lat] for lon, lat in (*ring, ring[0])]


def _turned(lon: float) -> float:
    """A longitude from -180 to 180."""
    return lon if -180 <= lon <= 180 else (lon + 180) % 360 - 180
