"""Training: the loop that every network shares; seeded, so that a repetition gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Tick, silent
from stsfusion.learning.checkpoint import Walk

__all__ = ["Schedule", "train"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    steps: int
    """Optimiser steps."""

    rate: float
    """Largest learning rate."""

    warmup: float = 0.1
    """Share of the steps over which the rate rises from a tenth; then it falls as a cosine to a hundredth."""

    clip: float = 1.0
    """Largest norm of a gradient."""

    decay: float = 1e-4
    """Decoupled weight decay."""

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        done = (step + 1) / max(self.steps, 1)
        if done < self.warmup:
            return self.rate * (0.1 + 0.9 * done / self.warmup)
        falling = math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + falling))


def train(
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[], Tensor],
    schedule: Schedule,
    tick: Tick = silent,
    *,
    name: str = "",
    drawing: torch.Generator | None = None,
) -> list[float]:
    """Adam with decoupled decay on whatever `loss_of` draws next.

    Parameters
    ----------
    parameters
        What may change; changed in place.
    loss_of
        Draws the next example and gives its scalar loss; nothing but `drawing` decides what is drawn.
    schedule
        Steps and rates.
    tick
        Told the share done, the step and the running mean of the loss.
    name
        Fingerprint under which progress is kept where checkpoints are open; empty: it is not.
    drawing
        The generator that `loss_of` draws from, kept with the progress.

    Returns
    -------
    list of float
        The loss of every step.

    Raises
    ------
    MethodError
        When the loss is no longer a number.
    """
    trained = list(parameters)
    optimiser = torch.optim.AdamW(trained, lr=schedule.rate, weight_decay=schedule.decay)
    walk = Walk(name, trained, [optimiser], drawing)
    done, history = walk.resume(), walk.history
    running = _running(history)
    for step in range(done, schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, schedule.clip)
        optimiser.step()
        history.append(_finite(float(loss.detach()), step, schedule))
        running = history[-1] if step == 0 else 0.98 * running + 0.02 * history[-1]
        tick((step + 1) / schedule.steps, f"step {step + 1} of {schedule.steps}, loss {running:.4f}")
        walk.keep(step + 1, last=step + 1 == schedule.steps)
    return history


def _running(history: list[float]) -> float:
    """The running mean of what was lost so far."""
    running = history[0] if history else math.nan
    for loss in history[1:]:
        running = 0.98 * running + 0.02 * loss
    return running


def _finite(loss: float, step: int, schedule: Schedule) -> float:
    if math.isfinite(loss):
        return loss
    raise MethodError(
        f"training, step {step + 1}",
        expected="a finite loss",
        got=f"{loss}",
        mend=f"Lower the learning rate (it is {schedule.rate:g}) or look for wild values in the inputs.",
    )
