"""Probe: a small window of a plan, fused to see what kind of answer the method gives."""

from __future__ import annotations

import torch

from stsfusion.engine import exchange
from stsfusion.engine.plan import Plan
from stsfusion.engine.samples import sample_windows
from stsfusion.fusion.answer import Answer
from stsfusion.operators.precision import full_precision
from stsfusion.window import Window

__all__ = ["probe"]

_SIDE = 48
"""Target pixels along one side of it."""


def probe(plan: Plan) -> Answer:
    """The fitted method's answer for a small window in the scene, of the dates that a tile reads.

    Its place depends on the plan's shape alone.
    """
    place = sample_windows(plan, count=1, size=_SIDE, seed=0)[0]
    longest = max(plan.tiles, key=lambda tile: tile.padded.shape[0])
    window = Window(longest.padded.dates, place.rows, place.cols)
    with torch.inference_mode(), full_precision():
        return plan.method.fuse(exchange.read_window(plan, window).to(plan.device))
