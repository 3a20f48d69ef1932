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
from stsfusion.learning.plateau import Plateau, Vigil

__all__ = ["Course", "Schedule", "train"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    steps: int
    """Optimiser steps; the most there are, where a plateau may end them."""

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


@dataclass(frozen=True, eq=False)
class Course:
    """How a training went."""

    history: list[float]
    """Loss of every step."""

    curve: Tensor
    """(exams, 2) steps done and the loss on what was held back; empty without a plateau."""


def train(
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[], Tensor],
    schedule: Schedule,
    tick: Tick = silent,
    *,
    name: str = "",
    drawing: torch.Generator | None = None,
    plateau: Plateau | None = None,
) -> Course:
    """Adam with decoupled decay on whatever `loss_of` draws next.

    With a plateau the schedule is what the rate may be at most, and the weights of the best exam are kept.

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
    plateau
        When training is over before its steps are; None: all of them are walked.

    Raises
    ------
    MethodError
        When the loss is no longer a number.
    """
    trained = list(parameters)
    optimiser = torch.optim.AdamW(trained, lr=schedule.rate, weight_decay=schedule.decay)
    vigil = Vigil(plateau, trained, schedule.steps) if plateau and trained else None
    kept = [*trained, *(vigil.tensors if vigil else ())]
    walk = Walk(name, kept, [optimiser], drawing)
    step, history = walk.resume(), walk.history
    running = _running(history)
    if vigil:
        vigil.look(0)
    while step < schedule.steps and not (vigil and vigil.over):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step) * (vigil.factor if vigil else 1.0)
        history.append(_finite(_descend(optimiser, loss_of, schedule.clip), step, schedule))
        running = history[-1] if step == 0 else 0.98 * running + 0.02 * history[-1]
        step += 1
        if vigil and (vigil.due(step) or step == schedule.steps):
            vigil.look(step)
        tick(step / schedule.steps, _words(step, schedule, running, vigil))
        walk.keep(step, last=step == schedule.steps or bool(vigil and vigil.over))
    if vigil:
        vigil.settle()
    return Course(history, vigil.curve if vigil else torch.zeros(0, 2, dtype=torch.float64))


def _descend(optimiser: torch.optim.Optimizer, loss_of: Callable[[], Tensor], clip: float) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of()
    loss.backward()
    nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], clip)
    optimiser.step()
    return float(loss.detach())


def _words(step: int, schedule: Schedule, running: float, vigil: Vigil | None) -> str:
    held = f", held back {vigil.last:.4f}" if vigil else ""
    most = "at most " if vigil else ""
    return f"step {step} of {most}{schedule.steps}, loss {running:.4f}{held}"


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
