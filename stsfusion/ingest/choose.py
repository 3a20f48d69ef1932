"""Choose: which scenes make which cube, and on which grids the cubes lie.

::

    role ─ instrument ─ scenes that touch the area ─ by day (UTC) ─ one date of the cube each

The base grid has the pixels of the finest instrument that is there. Every cube's pixels are a whole multiple
of these: where an instrument's own are not, the largest multiple below them, which loses no detail.

    10 m (VNIC)    AHSI 30 m ─ 3 × 10    WFV 16 m ─ 1 × 10
    16 m (WFV)     AHSI 30 m ─ 1 × 16    WFV 16 m ─ 1 × 16
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from types import MappingProxyType

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import Place, base_grid, degrees_of
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.catalog import Catalog
from stsfusion.sensing.scene import Scene

__all__ = ["Chosen", "Day", "choose"]

_ROUND = 0.05
"""Part of a base pixel by which an instrument's pixel may miss a whole ratio from below."""


@dataclass(frozen=True)
class Day:
    """The scenes of one day, which become one date."""

    scenes: tuple[Scene, ...]
    """By time; where two see a pixel, the earlier one stays."""

    @property
    def time(self) -> datetime:
        """Of the first of them, UTC."""
        return self.scenes[0].time.astimezone(UTC)


@dataclass(frozen=True)
class Chosen:
    """What is to be built."""

    grid: Grid
    """The base grid."""

    days: Mapping[str, tuple[Day, ...]]
    """By role, rising in time."""

    ratios: Mapping[str, int]
    """Base pixels along one pixel of each role's cube."""

    def __str__(self) -> str:
        """In words."""
        parts = [
            f"{role}: {days[0].scenes[0].sensor}, {len(days)} date{'s' * (len(days) > 1)}, "
            f"{self._pixels(role)}"
            for role, days in self.days.items()
        ]
        return f"{'; '.join(parts)}; on {self.grid}"

    def _pixels(self, role: str) -> str:
        """The pixels of a role's cube, and why they are not the instrument's own."""
        own, made = (
            known_sensor(self.days[role][0].scenes[0].sensor).pixel,
            self.grid.pixel * self.ratios[role],
        )
        if math.isclose(own, made):
            return f"pixels of {made:g} m"
        why = "detail is lost" if made > (1 + _ROUND) * own else f"whole multiples of {self.grid.pixel:g} m"
        return f"pixels of {made:g} m for its own of {own:g} m, {why}"


def choose(
    catalog: Catalog,
    sensors: Mapping[str, str],
    place: Place | None = None,
    ratios: Mapping[str, int] = MappingProxyType({}),
) -> Chosen:
    """Scenes and grids for these roles.

    Parameters
    ----------
    sensors
        Instrument by role, as 'rich': 'zy1-02d-ahsi'.
    place
        Where; None: around the scenes of 'sharp', or of the finest instrument.
    ratios
        Base pixels along one pixel, by role; those not said are the largest that lose no detail.

    Raises
    ------
    DeliveryError
        When a role has no scene in the area.
    """
    place = place or Place()
    pixels = {role: known_sensor(name).pixel for role, name in sensors.items()}
    leading = "sharp" if "sharp" in sensors else min(pixels, key=lambda role: pixels[role])
    guides = catalog.find(sensors[leading])
    _some(guides, leading, sensors[leading], catalog, "")
    base = place.pixel or min(pixels.values())
    whole = {role: ratios.get(role) or max(1, math.floor(pixels[role] / base + _ROUND)) for role in sensors}
    grid = base_grid(place, guides, base, math.lcm(*whole.values()))
    days = {}
    for role, name in sensors.items():
        found = catalog.find(name, bounds=degrees_of(grid))
        _some(found, role, name, catalog, " in the area")
        days[role] = _by_day(found)
    return Chosen(grid, days, whole)


def _some(found: Sequence[Scene], role: str, sensor: str, catalog: Catalog, where: str) -> None:
    if not found:
        there = sorted({scene.sensor for scene in catalog.scenes})
        raise DeliveryError(
            f"role '{role}'",
            expected=f"a scene of {sensor}{where}",
            got=f"scenes of {', '.join(there) or 'no instrument'} in {catalog.path}",
            mend="Name another instrument under 'roles', or another area; "
            "`stsfusion catalog build` tells which deliveries are bad, and why.",
        )


def _by_day(scenes: Sequence[Scene]) -> tuple[Day, ...]:
    ordered = sorted(scenes, key=lambda scene: (scene.time, scene.name))
    groups = groupby(ordered, key=lambda scene: scene.time.astimezone(UTC).date())
    return tuple(Day(tuple(members)) for _, members in groups)
