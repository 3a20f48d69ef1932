"""Outlook: which dates would be ingested, as far as it can be told before a scene is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.stamps import STAMP
from stsfusion.sensing.scene import Scene

__all__ = ["outlook"]

_SHOWN = 6
"""Dates that are named."""


def outlook(chosen: Chosen, cubes: CubeStore) -> str:
    """Which dates are new or of other scenes than in the cubes that are there; '' where there are none."""
    try:
        there = {role: cubes.dataset(role).attrs for role in cubes.names()}
        grids = {role: cubes.grid(role) for role in there}
    except (StoreError, ValueError, LookupError):
        return ""
    known = {
        role: [[*map(_of_note, date["scenes"])] for date in told.get("lineage", ()) if STAMP in date]
        for role, told in there.items()
        if role in chosen.days and grids[role] == chosen.grid.coarsen(chosen.ratios[role])
    }
    if not any(known.values()):
        return ""
    fresh = [
        f"{role} {day.time:%Y-%m-%d}"
        for role, days in chosen.days.items()
        for day in days
        if [_of_scene(scene) for scene in day.scenes] not in known.get(role, ())
    ]
    count = sum(map(len, chosen.days.values()))
    named = ", ".join(fresh[:_SHOWN]) + (f" and {len(fresh) - _SHOWN} more" if len(fresh) > _SHOWN else "")
    return (
        f"To be ingested: {len(fresh)} of {count} dates{f' ({named})' if fresh else ''}; the others stay as "
        "they are, unless settings, the code or what they are laid onto are other than before."
    )


def _of_scene(scene: Scene) -> tuple[str, str, list[str]]:
    return scene.name, scene.archive, [file.sha256 for file in scene.files]


def _of_note(told: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """The same of a scene's lineage."""
    return told["scene"], told.get("sha256", ""), [file["sha256"] for file in told["files"]]
