"""Stages: a training that ends when its aim is reached or its steps are used up; kept and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Tick, silent
from stsfusion.learning.checkpoint import Walk

__all__ = ["Stage", "descend"]

_LOOK = 50
"""Steps between two looks at whether the aim is reached."""

_ASIDE = 20
"""Steps between two steps on the loss aside."""


@dataclass(frozen=True)
class Stage:
    """What one stage of a training changes, lowers, and stops at."""

    steps: int
    """Largest number of steps."""

    trained: Sequence[Tensor]
    """What changes, in place."""

    loss: Callable[[], Tensor]
    """Draws the next example and gives its scalar loss."""

    reached: Callable[[float], bool] | None = None
    """Whether the aim is reached, asked now and then with the last loss; None: all steps are walked."""

    aside: Callable[[], Tensor] | None = None
    """A second loss that gets a step of its own, with an Adam of its own, every twentieth step."""


def descend(
    stage: Stage,
    rate_at: Callable[[int], float],
    *,
    name: str = "",
    drawing: torch.Generator | None = None,
    tick: Tick = silent,
) -> int:
    """Walk a stage with Adam; the number of steps it took.

    Parameters
    ----------
    stage
        What is walked.
    rate_at
        The learning rate of a step.
    name
        Fingerprint under which progress is kept where checkpoints are open; empty: it is not.
    drawing
        The generator that examples are drawn from.
    tick
        Told the share of the steps that is done.

    Raises
    ------
    MethodError
        When the loss is no longer a number.
    """
    trained = list(stage.trained)
    losses = [stage.loss, *([stage.aside] if stage.aside else [])]
    adams = [torch.optim.Adam(trained, lr=rate_at(0), fused=True) for _ in losses]
    walk = Walk(name, trained, adams, drawing)
    step = walk.resume()
    while step < stage.steps and not _reached(stage, walk.history):
        for place, (loss, adam) in enumerate(zip(losses, adams, strict=True)):
            if place and (step + 1) % _ASIDE:
                continue
            lost = _lower(adam, loss, rate_at(step))
            if not place:
                walk.history.append(_finite(lost, step))
        step += 1
        tick(step / stage.steps, f"step {step} of at most {stage.steps}, loss {walk.history[-1]:.5g}")
        walk.keep(step, last=False)
    walk.keep(step, last=True)
    return step


def _reached(stage: Stage, history: Sequence[float]) -> bool:
    due = bool(history) and len(history) % _LOOK == 0
    return due and stage.reached is not None and stage.reached(history[-1])


def _lower(adam: torch.optim.Optimizer, loss_of: Callable[[], Tensor], rate: float) -> float:
    for group in adam.param_groups:
        group["lr"] = rate
    adam.zero_grad(set_to_none=True)
    loss = loss_of()
    loss.backward()
    adam.step()
    return float(loss.detach())


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise MethodError(
        f"training, step {step + 1}",
        expected="a finite loss",
        got=f"{loss}",
        mend="Lower the learning rate, or look for wild values in the images.",
    )
