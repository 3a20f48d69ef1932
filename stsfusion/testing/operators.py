"""What every operator promises."""

from __future__ import annotations

import torch

from stsfusion.operators.linear import Linear, gap
from stsfusion.testing.broken import hold

__all__ = ["check_operator"]


def check_operator(op: Linear, *, seed: int = 0, tolerance: float = 1e-10) -> None:
    """Adjoint, linearity and agreement with automatic differentiation, in double precision.

    Raises
    ------
    ContractBroken
        Which of them fails, and by how much.
    """
    generator = torch.Generator().manual_seed(seed)
    difference = gap(op, generator)
    hold("adjoint", difference <= tolerance, f"⟨Ax, y⟩ and ⟨x, Aᵀy⟩ differ by {difference:.2e}")
    a, b = (torch.randn(op.in_shape, generator=generator, dtype=torch.float64) for _ in range(2))
    bent = float((op(2.0 * a - b) - 2.0 * op(a) + op(b)).abs().max())
    hold("linearity", bent <= tolerance * 10, f"A(2a − b) and 2Aa − Ab differ by {bent:.2e}")
    y = torch.randn(op.out_shape, generator=generator, dtype=torch.float64)
    x = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad((op(x) * y).sum(), x)
    off = float((slope - op.adjoint(y)).abs().max())
    hold("autograd", off <= tolerance * 10, f"the adjoint and the derivative differ by {off:.2e}")
