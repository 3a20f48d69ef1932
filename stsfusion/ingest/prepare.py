"""Prepare: from chosen scenes to a plan of every tile: unpacked, measured, told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stsfusion.ingest.atmosphere import corrected
from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.level import levelled
from stsfusion.ingest.measure import SHARP, Bench, Series, measured
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Cube, Plan
from stsfusion.ingest.readers import Readers
from stsfusion.ingest.room import Room

__all__ = ["Tell", "prepare"]

Tell = Callable[[float, str], None]
"""Told of the share that is done, and of what."""


def prepare(chosen: Chosen, store: Path, options: Options, room: Room, tell: Tell) -> Plan:
    """Look at every scene, and say how each tile is made.

    Parameters
    ----------
    store
        The folder of the cubes.

    Raises
    ------
    DeliveryError
        When a scene is not what it was when it was catalogued, or lacks gains.
    """
    done: dict[str, Series] = {}
    roles = sorted(chosen.days, key=lambda role: role != SHARP)
    with Readers(options.gains, options.limits) as readers:
        for at, role in enumerate(roles):
            bench = Bench(options, room, readers, done.get(SHARP))
            part = _part(tell, at, len(roles))
            done[role] = _series(bench, Series.of(chosen, role), part)
        if options.atmosphere == "dark-object":
            done = {role: _each(bench, series) for role, series in done.items()}
        if options.normalise == "pif":
            done = levelled(bench, done)
    cubes = tuple(_cube(series) for series in done.values())
    return Plan(store, cubes, options.gains, options.clouds, options.limits)


def _part(tell: Tell, before: int, roles: int) -> Tell:
    return lambda done, words: tell((before + done) / roles, words)


def _series(bench: Bench, series: Series, tell: Tell) -> Series:
    """Every scene of a cube, measured."""
    found = []
    for at, day in enumerate(series.days):
        tell(at / len(series.days), f"measuring '{series.role}', {day.time:%Y-%m-%d}")
        found.append(tuple(measured(bench, series, day, scene) for scene in day.scenes))
    return replace(series, found=tuple(found))


def _each(bench: Bench, series: Series) -> Series:
    """A cube's scenes without haze."""
    found = tuple(tuple(corrected(bench, series, one) for one in day) for day in series.found)
    return replace(series, found=found)


def _cube(series: Series) -> Cube:
    """A cube that tells of its scenes."""
    told: list[dict[str, Any]] = [
        {"date": f"{day.time:%Y-%m-%d}", "scenes": [one.told for one in found]}
        for day, found in zip(series.days, series.found, strict=True)
    ]
    quantities = {scene["quantity"] for date in told for scene in date["scenes"]}
    said = {"quantity": quantities.pop() if len(quantities) == 1 else "mixed, see lineage", "lineage": told}
    spec = replace(series.spec, attributes={**series.spec.attributes, **said})
    return Cube(series.role, spec, tuple(tuple(one.piece for one in found) for found in series.found))
