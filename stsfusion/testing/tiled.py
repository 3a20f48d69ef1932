"""An answer made tile by tile, as the engine does it, for small problems in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.window import Window

__all__ = ["fuse_tiled"]


def fuse_tiled(
    method: FusionMethod, problem: Problem, tile: int, order: torch.Generator | None = None
) -> Tensor:
    """The full answer, tile by tile with the method's halo, in any order; for checks on small problems."""
    geometry = Geometry.of(problem)
    time, _, rows, cols = problem.target.shape
    halo, multiple = method.halo(geometry), geometry.multiple
    out = torch.empty(problem.target.shape)
    corners = [(r, c) for r in range(0, rows, tile) for c in range(0, cols, tile)]
    if order is not None:
        corners = [corners[i] for i in torch.randperm(len(corners), generator=order).tolist()]
    for r, c in corners:
        core = Window((0, time), (r, min(r + tile, rows)), (c, min(c + tile, cols)))
        padded = core.pad(halo).snap(multiple).clip(time, rows, cols)
        answer = method.fuse(problem.crop(padded).question())
        inner = core.within(padded)
        out[core.slices] = answer.full()[inner.slices]
    return out
