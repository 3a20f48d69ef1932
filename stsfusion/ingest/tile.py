"""Tile: what a worker process does: open a saved plan once, then make the tiles whose keys it is sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stsfusion.cube.store import CubeStore
from stsfusion.errors import PlanError, StoreError
from stsfusion.ingest.mosaic import mosaic, quality
from stsfusion.ingest.plan import Cube, Plan, load_plan
from stsfusion.ingest.readers import Readers
from stsfusion.window import Window

__all__ = ["ingest_tile", "let_go"]


@dataclass(frozen=True)
class _Resident:
    """A plan, its tiles by their keys, and the scenes that are open."""

    plan: Plan
    tiles: Mapping[str, tuple[Cube, Window]]
    readers: Readers


@lru_cache(maxsize=1)
def _resident(folder: str, stamp: str) -> _Resident:
    """The plan, once per process; `stamp` tells one plan of a folder from the next."""
    plan = load_plan(Path(folder), stamp)
    if plan is None:
        raise PlanError(
            f"plan {folder}", expected=f"one of stamp {stamp[:12]}", got="none", mend="Run again."
        )
    return _Resident(plan, plan.tiles, Readers(plan.gains, plan.limits))


def ingest_tile(folder: str, stamp: str, key: str) -> dict[str, Any]:
    """Make the tile of this key of the plan in a folder; what comes back is some two hundred bytes.

    Raises
    ------
    KeyError
        When the plan has no such tile.
    DeliveryError
        When a delivery has changed since it was measured.
    StoreError
        When other cubes are being written there by now: this worker outlived the run that it served.
    """
    start = time.perf_counter()
    here = _resident(folder, stamp)
    cube, window = here.tiles[key]
    store = CubeStore(here.plan.store)
    members = here.readers.members(cube.days[window.dates[0]])
    part = mosaic(members, cube.spec, window.rows, window.cols, here.plan.clouds)
    after_read = time.perf_counter()
    _admit(store, cube, key)
    store.write(cube.role, window, part.reflectance[None], part.valid[None], qa=quality(part)[None])
    return {
        "key": key,
        "read_s": round(after_read - start, 4),
        "write_s": round(time.perf_counter() - after_read, 4),
        "valid": round(float(part.valid.mean()), 6),
        "checksum": store.checksum(cube.role, window),
    }


def _admit(store: CubeStore, cube: Cube, key: str) -> None:
    """Let a tile be written into the cube that its plan was made for."""
    if not store.is_begun(cube.role, cube.spec):
        raise StoreError(
            f"tile '{key}' of {store.path}",
            expected="the cube of its plan, being written",
            got="another one, or none",
            mend="Another run has gone on since: this worker served one that ended, and may be ended.",
        )


def let_go(folder: str, stamp: str) -> None:
    """Close what this process holds open for a plan."""
    if _resident.cache_info().currsize:
        _resident(folder, stamp).readers.close()
        _resident.cache_clear()
