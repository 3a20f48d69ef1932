"""What a worker process does: load a saved plan once, then fuse the tiles whose keys it is sent.

A worker's first tile loads the plan, its method and weights, and they stay until another plan is asked for.
A plugin would load them a moment earlier, but on someone else's scheduler it would outlive the run, what goes
wrong in it would be no tile's failure with its reason, and runs without a scheduler would need a second way.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stsfusion import methods
from stsfusion.engine.plan import Plan
from stsfusion.engine.planfile import code_of, load_plan, method_settings
from stsfusion.engine.run import run_tile
from stsfusion.pipeline.ourcode import require_code
from stsfusion.running.tiling import Tile

__all__ = ["Resident", "fuse_tile", "resident"]


@dataclass(frozen=True, eq=False)
class Resident:
    """What a process keeps between tiles."""

    plan: Plan
    """With its method, weights on the device."""

    tiles: Mapping[str, Tile]
    """The plan's tiles by their keys."""


_loading = threading.Lock()
"""Two tiles that begin at once load one plan."""


def resident(folder: str, stamp: str) -> Resident:
    """The plan of a folder and its method, loaded once by each process.

    Parameters
    ----------
    folder
        Where the plan was saved.
    stamp
        Tells one plan of a folder from the next.

    Raises
    ------
    PlanError
        When it was made by other code than this process has.
    """
    with _loading:
        return _loaded(folder, stamp)


@lru_cache(maxsize=1)
def _loaded(folder: str, stamp: str) -> Resident:
    path = Path(folder)
    plan = load_plan(path, methods.create(method_settings(path)))
    require_code(code_of(path), plan.method)
    return Resident(plan, {tile.key: tile for tile in plan.tiles})


def fuse_tile(folder: str, stamp: str, key: str) -> dict[str, Any]:
    """Fuse the tile of this key of the plan in a folder; what comes back is some two hundred bytes.

    Raises
    ------
    KeyError
        When the plan has no such tile.
    """
    its = resident(folder, stamp)
    return run_tile(its.plan, its.tiles[key]).plain()
