"""run_tile: the whole engine. Read, fuse, write; pure, so that any tile may run anywhere and twice."""

from __future__ import annotations

import re
import resource
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import torch

from stsfusion.engine import exchange
from stsfusion.engine.plan import Plan
from stsfusion.operators.precision import full_precision
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


def run_tile(plan: Plan, tile: Tile) -> TileRecord:
    """Fuse one tile and write its shards."""
    start, base = time.perf_counter(), _baseline()
    with torch.inference_mode(), full_precision():
        problem = exchange.read(plan, tile).to(plan.device)
        after_read = time.perf_counter()
        answer = plan.method.fuse(problem)
        after_fuse = time.perf_counter()
        written = exchange.write(plan, tile, answer, problem.rich.dead_bands if problem.rich else None)
    end = time.perf_counter()
    peak = _peak()
    return TileRecord(
        tile.key,
        round(after_read - start, 4),
        round(after_fuse - after_read, 4),
        round(end - after_fuse, 4),
        peak,
        max(0, peak - base),
        round(written.valid, 6),
        written.checksum,
    )
