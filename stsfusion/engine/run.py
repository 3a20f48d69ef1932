"""run_tile: the whole engine. Read, fuse, write; pure, so that any tile may run anywhere and twice."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from stsfusion.engine import exchange
from stsfusion.engine.plan import Plan
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
    """Largest resident size that the process had until now."""

    valid: float
    """Share of the written pixels that hold data."""

    checksum: str
    """Over the bytes of the shards that were written."""

    def plain(self) -> dict[str, Any]:
        """As a mapping for the ledger."""
        return asdict(self)


def run_tile(plan: Plan, tile: Tile) -> TileRecord:
    """Fuse one tile and write its shards."""
    start = time.perf_counter()
    with torch.inference_mode():
        problem = exchange.read(plan, tile).to(plan.device)
        after_read = time.perf_counter()
        answer = plan.method.fuse(problem)
        after_fuse = time.perf_counter()
        written = exchange.write(plan, tile, answer)
    end = time.perf_counter()
    return TileRecord(
        tile.key,
        round(after_read - start, 4),
        round(after_fuse - after_read, 4),
        round(end - after_fuse, 4),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        round(written.valid, 6),
        written.checksum,
    )
