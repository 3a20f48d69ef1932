"""Scene notes: what the store and its lineage tell of every date that was made of deliveries, in small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.fusion.problem import ROLES
from stsfusion.pipeline.glance import Planes, affordable, glance, planes, stride
from stsfusion.views.composite import FALSE, SWIR, TRUE, choose
from stsfusion.views.marks import shares, sorted_out

__all__ = ["SHOWN", "DateNote", "SceneNote", "Seen", "date_notes", "scene_notes"]

SHOWN = 6
"""Dates of one role of which pictures are shown, fewer where they are large; all are listed."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One date as a picture."""

    image: xr.DataArray
    """(band, y, x) the bands of the composites, reflectance, gaps NaN."""

    kinds: NDArray[np.uint8]
    """(y, x) from `marks.sorted_out`."""

    spectrum: NDArray[np.float64]
    """(band,) mean over the pixels that every band saw, all bands of the cube; NaN where one saw none."""

    pixels: int
    """How many these are."""

    step: int
    """Pixels of the cube from one to the next."""


@dataclass(frozen=True, eq=False)
class DateNote:
    """One date of one role's cube."""

    role: str
    """rich, sharp or dense."""

    date: str
    """ISO, UTC."""

    number: int
    """On the cube's time axis."""

    spec: CubeSpec
    """The cube's frame."""

    scenes: tuple[Mapping[str, Any], ...]
    """Lineage of the scenes that it was made of."""

    shares: Mapping[str, float]
    """Share of its pixels by kind, 0 to 1."""

    seen: Seen | None
    """As a picture; None where it is listed only."""

    @property
    def title(self) -> str:
        """Role and date."""
        return f"{self.role}, {self.date}"


@dataclass(frozen=True, eq=False)
class SceneNote:
    """One delivered scene."""

    date: DateNote
    """Where it went."""

    told: Mapping[str, Any]
    """Its lineage."""

    @property
    def name(self) -> str:
        """Of the scene."""
        return str(self.told.get("scene", "?"))


def date_notes(store: CubeStore, *, pictures: bool) -> list[DateNote]:
    """Every date of every cube that tells of its scenes.

    Parameters
    ----------
    pictures
        Whether up to `SHOWN` dates a role are looked at, too.
    """
    there = [role for role in ROLES if role in store.names()]
    return [note for role in there for note in _notes(store, role, pictures)]


def scene_notes(dates: list[DateNote]) -> list[SceneNote]:
    """Every scene by itself."""
    return [SceneNote(date, told) for date in dates for told in date.scenes]


def _notes(store: CubeStore, role: str, pictures: bool) -> Iterator[DateNote]:
    spec = store.spec(role)
    told = spec.attributes.get("lineage") or []
    count = len(told)
    most = affordable(spec, min(SHOWN, count)) if pictures else 0
    shown = set(np.linspace(0, count - 1, most).round().astype(int).tolist())
    fine, coarse = stride(spec, count, bands=1), stride(spec, max(1, len(shown)))
    for number, date in enumerate(told):
        kinds = _kinds(planes(store, role, number, fine), spec)
        seen = _seen(store, role, number, coarse) if number in shown else None
        scenes = tuple(date.get("scenes", ()))
        yield DateNote(role, str(date["date"]), number, spec, scenes, shares(kinds, spec.marks), seen)


def _seen(store: CubeStore, role: str, number: int, step: int) -> Seen:
    found, spec = glance(store, role, number, step), store.spec(role)
    image = found.image
    finite = np.isfinite(image.values)
    alive = finite.any(axis=(1, 2))
    whole = finite[alive].all(axis=0) if alive.any() else np.zeros(finite.shape[1:], dtype=bool)
    spectrum = np.full(len(spec.bands), np.nan)
    if whole.any():
        spectrum[alive] = image.values[alive][:, whole].mean(axis=1, dtype=np.float64)
    bands = sorted({band for one in (TRUE, FALSE, SWIR) for band in choose(image, one).bands})
    return Seen(image.isel(band=bands), _kinds(found.planes, spec), spectrum, int(whole.sum()), step)


def _kinds(found: Planes, spec: CubeSpec) -> NDArray[np.uint8]:
    return sorted_out(found.qa, found.seen, spec.marks)
