"""Engine read: how many bytes are decoded for each that a tile needs, counted where chunks are decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from numcodecs.blosc import Blosc  # type: ignore[import-untyped]

from stsfusion.engine import exchange
from stsfusion.engine.plan import Plan
from stsfusion.fusion.problem import Role

__all__ = ["Decoded", "counted", "read_amplification"]


@dataclass
class Decoded:
    """What was decoded."""

    size: int = 0
    """Bytes after decoding."""

    chunks: int = 0
    """Number of chunks."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, size: int) -> None:
        """One more chunk; chunks are decoded in several threads."""
        with self._lock:
            self.size, self.chunks = self.size + size, self.chunks + 1


@contextmanager
def counted() -> Iterator[Decoded]:
    """Count every chunk that this process decodes."""
    found, decode = Decoded(), Blosc.decode

    def counting(codec: Blosc, *given: Any, **named: Any) -> Any:
        out = decode(codec, *given, **named)
        found.add(memoryview(out).nbytes)
        return out

    Blosc.decode = counting
    try:
        yield found
    finally:
        Blosc.decode = decode


def read_amplification(plan: Plan) -> dict[str, float]:
    """Decoded over needed bytes of all tiles, halos included, by role."""
    return {source.role: _of_role(replace(plan, sources=(source,)), source.role) for source in plan.sources}


def _of_role(plan: Plan, role: Role) -> float:
    needed = 0
    with counted() as decoded:
        for tile in plan.tiles:
            seen = exchange.read(plan, tile).seen[role]
            needed += 0 if seen is None else seen.counts.nbytes
    return decoded.size / needed if needed else 0.0
