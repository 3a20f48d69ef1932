"""Operators on a device: their adjoints there, and their images beside the CPU's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.fusion.examples import tiny_problem
from stsfusion.gpu.outcome import Outcome
from stsfusion.operators.linear import Linear, Shape, gap
from stsfusion.operators.resample import Upsample

__all__ = ["check_operators", "operators"]

_GAP, _IMAGE = 4.0, 100.0
"""Limits in the dtype's rounding: of the adjoint test, whose error is averaged over thousands of terms and so
lies below it, and of the largest error of an image, whose pixels are sums of some hundred terms."""


@dataclass(frozen=True, eq=False)
class _On(Linear):
    """An operator that computes on another device, so that the public dot test reaches it there."""

    op: Linear
    """The operator."""

    device: torch.device
    """Where it computes."""

    @property
    def in_shape(self) -> Shape:
        """Shape of what the operator takes."""
        return self.op.in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of what the operator gives."""
        return self.op.out_shape

    def _apply(self, x: Tensor) -> Tensor:
        return self.op(x.to(self.device)).cpu()

    def _transpose(self, y: Tensor) -> Tensor:
        return self.op.adjoint(y.to(self.device)).cpu()


def operators() -> Iterator[tuple[str, Linear]]:
    """Every kind of operator in use: what the three sensors see, and the way back up."""
    problem = tiny_problem(bands=12, dates=3)
    for role, seen in problem.observations.items():
        yield f"view of '{role}'", seen.view
    yield "upsample ×3", Upsample(3, (2, 4, 12, 12))
    yield "upsample, off", Upsample(3, (2, 4, 12, 12), shift=(0.6, -0.4))


def check_operators(operators: Iterable[tuple[str, Linear]], device: torch.device) -> Iterator[Outcome]:
    """The adjoint gap in both precisions, and the image against the CPU's, of named operators."""
    for name, op in operators:
        there = _On(op, device)
        for dtype in (torch.float64, torch.float32):
            word, rounding = str(dtype).removeprefix("torch."), torch.finfo(dtype).eps
            generator = torch.Generator().manual_seed(0)
            measured = gap(there, generator, dtype)
            yield Outcome(f"adjoint, {word}", name, measured, _GAP * rounding)
            x = torch.randn(op.in_shape, generator=generator, dtype=dtype)
            off = float((there(x) - op(x)).abs().max() / op(x).abs().max())
            yield Outcome(f"as on the CPU, {word}", name, off, _IMAGE * rounding)
