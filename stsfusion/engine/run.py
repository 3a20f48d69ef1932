"""run_tile: the whole engine. Read, fuse, write; pure, so that any tile may run anywhere and twice."""

from __future__ import annotations

import re
import resource
import time
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import torch

from stsfusion.engine import exchange
from stsfusion.engine.device import aside, settle
from stsfusion.engine.ladder import climb
from stsfusion.engine.plan import Plan
from stsfusion.operators.precision import full_precision
from stsfusion.running.heap import compact
from stsfusion.running.line import advance
from stsfusion.running.tiling import Tile

__all__ = ["TileRecord", "run_tile"]


@dataclass(frozen=True)
class TileRecord:
    """What the driver hears of a tile: about two hundred bytes."""

    key: str
    """The tile's name."""

    read_s: float
    """Seconds spent reading."""

    fuse_s: float
    """Seconds spent fusing."""

    write_s: float
    """Seconds spent packing and writing."""

    peak_bytes: int
    """Largest resident size that the process had until now, without that of who began it (on Linux)."""

    grown_bytes: int
    """How much of it came since the process began its first tile."""

    valid: float
    """Share of the written pixels that hold data."""

    checksum: str
    """Over the bytes of the shards that were written."""

    rung: int = 0
    """How often less was tried at a time because memory ran out; 0: everything fitted at once."""

    def plain(self) -> dict[str, Any]:
        """As a mapping for the ledger."""
        return asdict(self)


@lru_cache(maxsize=1)
def _baseline() -> int:
    """Resident bytes of this process when it began its first tile."""
    return int(psutil.Process().memory_info().rss)


def _peak() -> int:
    """Largest resident bytes of this process; what is usually asked is inherited from who began it."""
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * (int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


@dataclass
class _Clock:
    """Seconds of each stage, without those spent waiting for the next."""

    since: float = field(default_factory=time.perf_counter)

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.since = self.since, time.perf_counter()
        return round(self.since - before, 4)


def run_tile(plan: Plan, tile: Tile) -> TileRecord:
    """Fuse one tile and write its shards; between them it lets go on who may work beside it."""
    base, clock = _baseline(), _Clock()
    with torch.inference_mode(), full_precision():
        packed = exchange.read(plan, tile)
        read_s = clock.lap()
        _go_on(plan, clock)
        compact()
        problem = packed.problem(plan.device)
        del packed
        fused = climb(plan, problem)
        dead = exchange.dead(problem)
        hidden = exchange.unseen(problem)
        del problem
        settle(plan.device)
        compact()
        fuse_s = clock.lap()
        _go_on(plan, clock)
        with aside(plan.device):
            written = exchange.write(plan, tile, fused.answer, dead, hidden)
    peak = _peak()
    return TileRecord(
        tile.key,
        read_s,
        fuse_s,
        clock.lap(),
        peak,
        max(0, peak - base),
        round(written.valid, 6),
        written.checksum,
        fused.rung,
    )


def _go_on(plan: Plan, clock: _Clock) -> None:
    """Into the next stage; waiting for it is no work."""
    if plan.overlap:
        advance()
    clock.lap()
