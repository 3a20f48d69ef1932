"""What a worker process does: load a saved plan once, then fuse the tiles whose keys it is sent."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from stsfusion import methods
from stsfusion.engine.plan import Plan
from stsfusion.engine.planfile import load_plan, method_settings
from stsfusion.engine.run import run_tile

__all__ = ["fuse_tile"]


@lru_cache(maxsize=1)
def _resident(folder: str, stamp: str) -> Plan:
    """The plan and its method, once per process; `stamp` tells one plan of a folder from the next."""
    path = Path(folder)
    return load_plan(path, methods.create(method_settings(path)))


def fuse_tile(folder: str, stamp: str, key: str) -> dict[str, Any]:
    """Fuse the tile of this key of the plan in a folder; what comes back is some two hundred bytes.

    Raises
    ------
    KeyError
        When the plan has no such tile.
    """
    plan = _resident(folder, stamp)
    by_key = {tile.key: tile for tile in plan.tiles}
    return run_tile(plan, by_key[key]).plain()
