"""Pair kernel: the point spread function that a question's own images tell, where its own is a guess."""

from __future__ import annotations

from torch import Tensor

from stsfusion.errors import StsfusionError
from stsfusion.fusion.problem import Problem
from stsfusion.learning.pairing import model_for
from stsfusion.learning.pairposing import lost_bands, pairs_by_day

__all__ = ["told_kernel"]

_PASSES = 2
"""Hyperspectral pixels by which gaps are entered from their edges."""


def told_kernel(problem: Problem) -> Tensor | None:
    """(k, k) point spread function of the rich sensor on the target's grid, from its first pair.

    None where it is known anyway, or where no sharp image of the target's pixels tells it.
    """
    rich, sharp = problem.rich, problem.sharp
    if rich is None or sharp is None or rich.view.spatial.known or sharp.ratio != 1 or rich.ratio == 1:
        return None
    live, used = ~rich.dead_bands, ~sharp.dead_bands
    used &= (sharp.view.spectral.matrix.to(live.device)[:, live] > 0).any(1)
    if not bool(live.any() and used.any()):
        return None
    state = {"live": live, "used": used, **lost_bands([problem], used)}
    pairs = next(iter(pairs_by_day([problem], state, _PASSES).values()), None)
    if pairs is None:
        return None
    try:
        model = model_for("estimated", pairs, rich, sharp, live, used)
    except StsfusionError:
        return None
    return model.kernel.float()
