"""Ladder: a tile that is too much for the memory is fused with less at a time, then in parts."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from stsfusion.engine.device import give_back
from stsfusion.engine.parts import in_parts
from stsfusion.engine.plan import Plan
from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem

__all__ = ["Fused", "climb", "is_out_of_memory"]

_WORDS = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC")
"""What torch says in a plain RuntimeError when the memory was too small."""

_rungs: WeakKeyDictionary[Plan, int] = WeakKeyDictionary()
"""Where this process stands: what was too much for one tile is not tried for the next."""


@dataclass(frozen=True)
class Fused:
    """A tile's answer, and how it could be had."""

    answer: Answer
    """Of the padded window."""

    rung: int
    """How often less was tried; 0: everything fitted at once."""


@dataclass(frozen=True, eq=False)
class _Rung:
    """One way to fuse a tile."""

    method: FusionMethod
    """Who fuses."""

    side: int | None
    """Of a part, target pixels; None: in one piece."""

    def fuse(self, plan: Plan, problem: Problem) -> Answer:
        """The answer in this way; whatever runs out is raised."""
        if self.side is None:
            return self.method.fuse(problem)
        return in_parts(self.method, problem, plan.geometry, self.side)


def climb(plan: Plan, problem: Problem) -> Fused:
    """Fuse a tile; when memory runs out, with half the batch at a time, then in parts of half the side.

    Parts have the method's own context, so that what they give is the same within its seam.

    Raises
    ------
    MethodError
        When not even the smallest part fits.
    """
    first, said = _rungs.get(plan, 0), ""
    for place, rung in enumerate(_ladder(plan, problem)):
        if place < first:
            continue
        try:
            answer = rung.fuse(plan, problem)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            said = (str(error) or type(error).__name__).splitlines()[0]
        else:
            _rungs[plan] = place
            return Fused(answer, place)
        gc.collect()  # the failed try's tensors hang on its frames
        give_back(plan.device)
    rows, cols = problem.target.shape[2:]
    raise MethodError(
        f"method '{plan.method.card.name}'",
        expected=f"memory for a tile of {rows}×{cols} pixels, or for parts of it",
        got=said or "parts that are too small",
        mend="Ask for smaller tiles ('tile:'), fewer dates or a device with more memory.",
    )


def _ladder(plan: Plan, problem: Problem) -> Iterator[_Rung]:
    method, side = plan.method, max(problem.target.shape[2:])
    yield _Rung(method, None)
    while (lighter := method.lighter()) is not None:
        method = lighter
        yield _Rung(method, None)
    multiple, halo = plan.geometry.multiple, method.halo(plan.geometry)
    while side > max(multiple, halo):  # smaller parts would be all context
        side = multiple * math.ceil(side / 2 / multiple)
        yield _Rung(method, side)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, in any of the ways in which torch and Python say it."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)
