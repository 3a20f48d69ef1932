"""Mix: a matrix along the band or the time axis (spectral response, choice of dates)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.operators.linear import Linear, Shape

__all__ = ["Mix", "pick"]

_AXIS = {"time": 0, "band": 1}


@dataclass(frozen=True, eq=False)
class Mix(Linear):
    """y = M x along one axis: each output is a weighted sum of inputs.

    A spectral response is a Mix along `band` (rows sum to one); the dates that a sensor saw are a Mix
    along `time` whose rows choose.
    """

    matrix: Tensor
    """(out, in) weights."""

    axis: Literal["time", "band"]
    """The axis that is mixed."""

    shape: Shape
    """(time, band, y, x) of what the map takes."""

    known: bool = True
    """False: only the support (where the matrix is not zero) is true, the weights are a nominal prior."""

    def __post_init__(self) -> None:
        size = self.shape[_AXIS[self.axis]]
        if self.matrix.ndim != 2 or self.matrix.shape[1] != size:
            raise ProblemError(
                f"Mix along '{self.axis}'",
                expected=f"a matrix with {size} columns",
                got=f"shape {tuple(self.matrix.shape)}",
                mend="Give one weight per input band or date.",
            )

    @property
    def in_shape(self) -> Shape:
        """Shape of what the map takes."""
        return self.shape

    @property
    def out_shape(self) -> Shape:
        """The same with the mixed axis as long as the matrix has rows."""
        rows = self.matrix.shape[0]
        time, band, y, x = self.shape
        return (rows, band, y, x) if self.axis == "time" else (time, rows, y, x)

    def with_shape(self, shape: Shape) -> Mix:
        """The same weights for another window or number of dates."""
        return replace(self, shape=shape)

    def chosen(self) -> list[int] | None:
        """Which inputs the rows choose, when the map does nothing but choose; else None."""
        ones = self.matrix == 1
        if bool((ones.sum(1) == 1).all()) and bool(((self.matrix == 0) | ones).all()):
            return [int(i) for i in ones.to(torch.int64).argmax(1)]
        return None

    def _apply(self, x: Tensor) -> Tensor:
        return _mix(self.matrix.to(x), x, self.axis)

    def _transpose(self, y: Tensor) -> Tensor:
        return _mix(self.matrix.to(y).T, y, self.axis)


def _mix(matrix: Tensor, x: Tensor, axis: str) -> Tensor:
    if axis == "time":
        return torch.tensordot(matrix, x, dims=([1], [0]))
    return torch.einsum("ob,tbyx->toyx", matrix, x)


def pick(indices: Sequence[int], shape: Shape, axis: Literal["time", "band"] = "time") -> Mix:
    """The Mix that chooses these dates (or bands) of a cube of this shape."""
    matrix = torch.zeros(len(indices), shape[_AXIS[axis]])
    matrix[torch.arange(len(indices)), torch.as_tensor(list(indices), dtype=torch.long)] = 1.0
    return Mix(matrix, axis, shape)
