"""Linear: a map with an exact adjoint, and `gap`, the public dot test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["Composed", "Linear", "Shape", "gap"]

Shape = tuple[int, int, int, int]
"""(time, band, y, x)."""


class Linear(ABC):
    """A linear map between 4-D (time, band, y, x) tensors of known shapes."""

    @property
    @abstractmethod
    def in_shape(self) -> Shape:
        """Shape of what the map takes."""

    @property
    @abstractmethod
    def out_shape(self) -> Shape:
        """Shape of what the map gives."""

    @abstractmethod
    def _apply(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _transpose(self, y: Tensor) -> Tensor: ...

    def __call__(self, x: Tensor) -> Tensor:
        """A x, in x's dtype and on x's device.

        Raises
        ------
        ProblemError
            When x does not have `in_shape`.
        """
        return self._apply(self._checked(x, self.in_shape, "takes"))

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y, with ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for all x and y.

        Raises
        ------
        ProblemError
            When y does not have `out_shape`.
        """
        return self._transpose(self._checked(y, self.out_shape, "gives"))

    def __matmul__(self, inner: Linear) -> Composed:
        """The map that applies `inner` first and then this one."""
        return Composed(self, inner)

    def _checked(self, tensor: Tensor, shape: Shape, verb: str) -> Tensor:
        if tuple(tensor.shape) != shape:
            raise ProblemError(
                f"operator {type(self).__name__}",
                expected=f"{shape}, the shape it {verb}",
                got=f"{tuple(tensor.shape)}",
                mend="Crop or rebuild the operator for this window.",
            )
        return tensor


@dataclass(frozen=True)
class Composed(Linear):
    """outer ∘ inner."""

    outer: Linear
    """Applied second."""

    inner: Linear
    """Applied first."""

    def __post_init__(self) -> None:
        if self.outer.in_shape != self.inner.out_shape:
            raise ProblemError(
                f"{type(self.outer).__name__} @ {type(self.inner).__name__}",
                expected=f"an inner map that gives {self.outer.in_shape}",
                got=f"{self.inner.out_shape}",
                mend="Compose maps of matching shapes.",
            )

    @property
    def in_shape(self) -> Shape:
        """Shape that the inner map takes."""
        return self.inner.in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape that the outer map gives."""
        return self.outer.out_shape

    def _apply(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def _transpose(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))


def gap(op: Linear, generator: torch.Generator, dtype: torch.dtype = torch.float64) -> float:
    """Relative difference of ⟨A x, y⟩ and ⟨x, Aᵀ y⟩ for random x and y; zero for a true adjoint.

    Measured against ‖A x‖·‖y‖, so that an accidental zero of the inner product cannot inflate it.

    Parameters
    ----------
    op
        The map to test.
    generator
        Source of the random x and y (on the CPU).
    dtype
        Precision of the test.
    """
    x = torch.randn(op.in_shape, generator=generator, dtype=dtype)
    y = torch.randn(op.out_shape, generator=generator, dtype=dtype)
    image, back = op(x), op.adjoint(y)
    scale = torch.linalg.vector_norm(image) * torch.linalg.vector_norm(y)
    difference = (image * y).sum() - (x * back).sum()
    return float(difference.abs() / scale.clamp_min(torch.finfo(dtype).tiny))
