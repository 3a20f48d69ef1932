"""Origins: which share of a published series was observed, fused, estimated from other dates, or filled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stsfusion.cube.parts import FLAGS, ORIGIN
from stsfusion.cube.store import CubeStore

__all__ = ["origin_words", "origins"]


def origins(fused: CubeStore) -> dict[str, float]:
    """Share of the pixels of all dates by how they came to be, every way of `FLAGS`, in its order."""
    counts = np.zeros(ORIGIN + 1, np.int64)
    for window in fused.spec("").shards():
        counts += np.bincount((fused.read_qa("", window) & ORIGIN).ravel(), minlength=len(counts))
    whole = max(int(counts.sum()), 1)
    return {name: int(counts[number]) / whole for number, name in FLAGS.items()}


def origin_words(shares: Mapping[str, float]) -> str:
    """One sentence with every share that is not nothing, what holds data first."""
    ordered = sorted(shares.items(), key=lambda item: item[0] == FLAGS[0])
    said = [f"{name.replace('_', ' ')} {_percent(share)}" for name, share in ordered if share > 0]
    return f"Pixels of all published dates: {', '.join(said)}." if said else ""


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
