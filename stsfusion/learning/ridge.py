"""Ridge regression from sums: pieces of data add up in any order, in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["Affine", "Sums"]


@dataclass(frozen=True, eq=False)
class Affine:
    """y = offset + x · slope along the channel axis of image series."""

    slope: Tensor
    """(in, out)."""

    offset: Tensor
    """(out,)."""

    def __call__(self, x: Tensor) -> Tensor:
        """(time, in, y, x) to (time, out, y, x)."""
        mapped = torch.einsum("io,tiyx->toyx", self.slope, x)
        return mapped + self.offset[:, None, None]


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums of the products of inputs and outputs."""

    count: Tensor
    """() total weight."""

    first: Tensor
    """(in + out,) sums."""

    second: Tensor
    """(in + out, in + out) sums of products."""

    inputs: int
    """How many of the channels are inputs."""

    @classmethod
    def of(cls, x: Tensor, y: Tensor, weight: Tensor) -> Self:
        """From (time, in, y, x) inputs, (time, out, y, x) outputs and a (time, 1, y, x) weight."""
        both = torch.cat([x, y], 1).movedim(1, 0).flatten(1).double()
        w = weight.expand(x.shape[0], 1, *x.shape[2:]).movedim(1, 0).flatten(1).double()
        weighted = both * w
        return cls(w.sum(), weighted.sum(1), weighted @ both.T, x.shape[1])

    @classmethod
    def nothing(cls, inputs: int, outputs: int, device: torch.device | str = "cpu") -> Self:
        """Sums over no data, on the device of those to come."""
        size = inputs + outputs
        none = torch.zeros(size, size, dtype=torch.float64, device=device)
        return cls(none[0, 0], none[0], none, inputs)

    def __add__(self, other: Sums) -> Sums:
        """The sums over both."""
        return Sums(
            self.count + other.count, self.first + other.first, self.second + other.second, self.inputs
        )

    def solve(self, penalty: float) -> Affine:
        """Argmin Σ w ‖y − offset − x slope‖² + penalty · Σ w · ‖sd(x) slope‖²; inputs are standardised first.

        Without any weight the answer is zero.
        """
        n = self.inputs
        mean = self.first / self.count.clamp_min(1e-9)
        covariance = self.second / self.count.clamp_min(1e-9) - torch.outer(mean, mean)
        sd = covariance.diagonal()[:n].clamp_min(0.0).sqrt()
        live = sd > 1e-6
        scale = torch.where(live, sd, 1.0)
        square = covariance[:n, :n] / torch.outer(scale, scale) * torch.outer(live, live)
        mixed = covariance[:n, n:] / scale[:, None] * live[:, None]
        load = penalty * live + 1.0 * ~live
        slope = torch.linalg.solve(square + torch.diag(load.to(square)), mixed) / scale[:, None]
        return Affine(slope.float(), (mean[n:] - mean[:n] @ slope).float())

    def unexplained(self, penalty: float = 1e-6) -> float:
        """Mean variance of the outputs that the inputs do not explain."""
        n = self.inputs
        mean = self.first / self.count.clamp_min(1e-9)
        covariance = self.second / self.count.clamp_min(1e-9) - torch.outer(mean, mean)
        slope = self.solve(penalty).slope.double()
        explained = 2 * (slope * covariance[:n, n:]).sum(0) - (slope * (covariance[:n, :n] @ slope)).sum(0)
        return float((covariance.diagonal()[n:] - explained).mean())
