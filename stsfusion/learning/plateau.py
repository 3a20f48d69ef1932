"""Plateau: a training whose loss on what was held back gets no better learns more slowly, and then ends.

::

    rate   ───────┐            a fall after `tries` exams without gain; the best exam's weights are kept
                  └─────┐
                        └───── end
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EVERY", "Plateau", "Vigil"]

EVERY = 100
"""Steps between two exams."""


@dataclass(frozen=True)
class Plateau:
    """When a training is flat."""

    judge: Callable[[], float]
    """The loss on what no step learns from; must draw nothing and change nothing."""

    every: int = EVERY
    """Steps between two exams."""

    tries: int = 3
    """Exams without gain after which the rate falls."""

    gain: float = 5e-3
    """Share of the best loss by which an exam must be better to count as a gain."""

    fall: float = 0.2
    """Factor of the rate at each fall."""

    least: float = 0.01
    """Factor under which training is over."""


class Vigil:
    """A plateau being watched: the best weights so far, the rate's factor and the curve, all of it tensors.

    They are what a training that died must find again, besides what it trains.
    """

    def __init__(self, plateau: Plateau, trained: Sequence[Tensor], steps: int) -> None:
        self.plateau, self.trained = plateau, trained
        self.best = [tensor.detach().clone() for tensor in trained]
        self.status = torch.tensor([math.inf, math.inf, 1.0, 0.0, 0.0], dtype=torch.float64)
        self.exams = torch.full((steps // max(plateau.every, 1) + 2, 2), math.nan, dtype=torch.float64)

    @property
    def tensors(self) -> list[Tensor]:
        """All that it remembers, to be kept and restored in place."""
        return [*self.best, self.status, self.exams]

    @property
    def curve(self) -> Tensor:
        """(exams, 2) steps done and the loss on what was held back."""
        return self.exams[: int(self.status[4])].clone()

    @property
    def factor(self) -> float:
        """Of the learning rate."""
        return float(self.status[2])

    @property
    def over(self) -> bool:
        """Whether the loss is flat even at the smallest rate."""
        return self.factor < self.plateau.least

    @property
    def last(self) -> float:
        """The loss of the last exam."""
        return float(self.curve[-1, 1]) if int(self.status[4]) else math.nan

    def due(self, step: int) -> bool:
        """Whether an exam follows so many steps; the first precedes all of them."""
        return step % self.plateau.every == 0 and not self._seen(step)

    def look(self, step: int) -> None:
        """Sit the exam after so many steps: keep what is best; the rate falls where nothing is gained."""
        if self._seen(step):
            return
        lost, (best, mark, factor, idle, count) = self.plateau.judge(), self.status.tolist()
        self.exams[int(count)] = torch.tensor([step, lost], dtype=torch.float64)
        if lost < best:
            best = lost
            for kept, tensor in zip(self.best, self.trained, strict=True):
                kept.copy_(tensor.detach())
        gained = lost < mark * (1.0 - self.plateau.gain) or math.isinf(mark)
        mark, idle = (lost, 0.0) if gained else (mark, idle + 1.0)
        if idle >= self.plateau.tries:
            factor, idle = factor * self.plateau.fall, 0.0
        self.status.copy_(torch.tensor([best, mark, factor, idle, count + 1.0], dtype=torch.float64))

    def settle(self) -> None:
        """Give back the weights of the best exam."""
        with torch.no_grad():
            for kept, tensor in zip(self.best, self.trained, strict=True):
                tensor.copy_(kept)

    def _seen(self, step: int) -> bool:
        count = int(self.status[4])
        return count > 0 and int(self.exams[count - 1, 0]) >= step
