"""Guided kriging: coarse values brought to fine pixels, as much as a guide says that pixels are alike.

::

    k(s, s') = ( exp(−½ ‖g(s) − g(s')‖² / w²) + a g(s)·g(s') ) · exp(−|s − s'| / ℓ)
    y(c) = Σ_s P(c, s) x(s) + noise          P: the point spread function
    x̂ = K Pᵀ (P K Pᵀ + λ)⁻¹ y               from the coarse pixels of a window about each

g is a guide on the fine grid, such as the images of other dates: pixels of one field resemble each other
there, and change alike. The linear term lets the window find a slope of its own.

Source: Matheron (1963); change of support as in Kyriakidis (2004), eqs. 5 to 9; the covariance by a guide as
in Rasmussen and Williams (2006), sec. 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.learning.kept import Kept
from stsfusion.operators.sylvester import trimmed

__all__ = ["Coarse", "Kriged", "Likeness", "Windows", "krige"]

_UNSEEN = 1e6
"""Noise of coarse pixels that must not be believed, in variances of a coarse pixel."""

_TRACE = 2e-3
"""Share of a kernel's weight whose outer rings are left out."""

_PIECE = 2_000_000
"""Numbers of fine covariance that are held at once."""


@dataclass(frozen=True, eq=False)
class Likeness(Kept):
    """How alike two pixels are."""

    width: Tensor
    """() w, in units of the guide."""

    linear: Tensor
    """() a, weight of the linear term."""

    near: Tensor
    """() ℓ, coarse pixels."""

    level: Tensor
    """() variance of a coarse pixel, by which all is divided."""

    @classmethod
    def by(cls, width: float, linear: float, near: float, level: float = 1.0) -> Self:
        """From numbers."""
        return cls(*(torch.tensor(value) for value in (width, linear, near, level)))

    def covariance(self, guide: Tensor, distance: Tensor) -> Tensor:
        """(m, n, n) of (m, n, q) guides at places of which the (n, n) distances are known."""
        inner = guide @ guide.transpose(1, 2)
        size = guide.square().sum(2)
        apart = (size[:, :, None] + size[:, None]).sub_(inner, alpha=2.0).clamp_min_(0.0)
        alike = apart.mul_(-0.5 / float(self.width) ** 2).exp_().add_(inner, alpha=float(self.linear))
        return alike.mul_(torch.exp(-distance / float(self.near)) / float(self.level))


@dataclass(frozen=True, eq=False)
class Coarse:
    """Values on a coarse grid, all seen through one point spread function and one mask."""

    values: Tensor
    """(c, h, w)."""

    clear: Tensor
    """(h, w) bool: where they may be believed."""

    kernel: Tensor
    """(ky, kx) on the fine grid."""

    noise: float
    """λ: noise over the values' own variance."""


@dataclass(frozen=True, eq=False)
class Kriged:
    """Values on the fine grid."""

    values: Tensor
    """(c, H, W)."""

    doubt: Tensor
    """(H, W) variance that is left, in variances of a coarse value."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one tile: which fine and coarse pixels stand about each coarse one."""

    guide: Tensor
    """(q, H, W)."""

    ratio: int
    """Fine pixels along one side of a coarse one."""

    half: int
    """Coarse pixels that a window extends on every side."""

    support: int
    """Fine pixels along one side of the widest kernel."""

    @property
    def side(self) -> int:
        """Coarse pixels along one side of a window."""
        return 2 * self.half + 1

    @property
    def span(self) -> int:
        """Fine pixels along one side of what a window sees."""
        return self.side * self.ratio + self.support - self.ratio

    @property
    def margin(self) -> int:
        """Fine pixels of a window before its middle coarse pixel's block."""
        return self.half * self.ratio + (self.support - self.ratio) // 2

    @property
    def grid(self) -> tuple[int, int]:
        """Coarse rows and columns."""
        return self.guide.shape[1] // self.ratio, self.guide.shape[2] // self.ratio

    @cached_property
    def distance(self) -> Tensor:
        """(n, n) between the window's fine pixels, in coarse ones."""
        axis = torch.arange(self.span, dtype=torch.float32, device=self.guide.device) / self.ratio
        places = torch.cartesian_prod(axis, axis)
        return torch.cdist(places, places)

    @cached_property
    def middle(self) -> Tensor:
        """(r²,) places of the middle coarse pixel's block among the window's fine pixels."""
        inside = torch.arange(self.margin, self.margin + self.ratio, device=self.guide.device)
        return (inside[:, None] * self.span + inside[None]).flatten()

    @cached_property
    def _padded(self) -> Tensor:
        return pad(self.guide[None], (self.margin,) * 4, mode="replicate")[0]

    def spread(self, kernel: Tensor) -> Tensor:
        """(side², n) P: weights of the fine pixels in each coarse pixel of the window."""
        out = kernel.new_zeros(self.side, self.side, self.span, self.span, dtype=torch.float32)
        off = (self.support - kernel.shape[0]) // 2
        for i in range(self.side):
            for j in range(self.side):
                rows = slice(i * self.ratio + off, i * self.ratio + off + kernel.shape[0])
                cols = slice(j * self.ratio + off, j * self.ratio + off + kernel.shape[1])
                out[i, j, rows, cols] = kernel.float()
        return out.flatten(2).flatten(0, 1).to(self.guide.device)

    def guides(self, places: Tensor) -> Tensor:
        """(m, n, q) of the windows about these coarse pixels, numbered row by row."""
        axis = torch.arange(self.span, device=places.device)
        rows = (places // self.grid[1] * self.ratio)[:, None] + axis
        cols = (places % self.grid[1] * self.ratio)[:, None] + axis
        taken = self._padded[:, rows[:, :, None], cols[:, None, :]]
        return taken.flatten(2).permute(1, 2, 0)

    def around(self, coarse: Tensor, places: Tensor) -> Tensor:
        """(m, side², c) of (c, h, w); zero (False) beyond the edge."""
        wide = pad(coarse, (self.half,) * 4)
        axis = torch.arange(self.side, device=places.device)
        rows = (places // self.grid[1])[:, None] + axis
        cols = (places % self.grid[1])[:, None] + axis
        return wide[:, rows[:, :, None], cols[:, None, :]].flatten(2).permute(1, 2, 0)

    def pieces(self) -> Iterator[Tensor]:
        """The numbers of all coarse pixels, so many at a time that memory is bounded."""
        count = math.prod(self.grid)
        every = torch.arange(count, device=self.guide.device)
        yield from every.split(max(1, _PIECE // self.span**4))


@dataclass(frozen=True, eq=False)
class System:
    """The equations of a few windows for one kernel and mask."""

    seen: Tensor
    """(m, side², side²) covariance of the coarse values, noise included."""

    mixed: Tensor
    """(m, r², side²) covariance of the middle's fine pixels with the coarse values."""

    own: Tensor
    """(m, r²) variance of the fine pixels."""

    values: Tensor
    """(m, side², c) coarse values."""

    @classmethod
    def of(cls, windows: Windows, fine: Tensor, spread: Tensor, part: Coarse, places: Tensor) -> Self:
        """From the (m, n, n) covariance of the fine pixels."""
        mixed = fine @ spread.T
        seen = spread @ mixed
        clear = windows.around(part.clear[None].float(), places)[..., 0]
        noise = torch.where(clear > 0.5, part.noise, _UNSEEN)
        values = windows.around(part.values, places) * clear[..., None]
        own = fine.diagonal(dim1=1, dim2=2)[:, windows.middle]
        return cls(seen + torch.diag_embed(noise), mixed[:, windows.middle], own, values)


def trim(kernel: Tensor, ratio: int) -> Tensor:
    """A kernel without its outer rings of next to no weight."""
    return trimmed(kernel, ratio, _TRACE)


def krige(guide: Tensor, parts: Sequence[Coarse], likeness: Likeness, ratio: int, half: int) -> list[Kriged]:
    """Bring every part to the fine grid of the (q, H, W) guide, from windows of (2 half + 1)² pixels."""
    kernels = [trim(part.kernel, ratio) for part in parts]
    windows = Windows(guide, ratio, half, max(kernel.shape[0] for kernel in kernels))
    spreads = [windows.spread(kernel) for kernel in kernels]
    found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]
    for places in windows.pieces():
        fine = likeness.covariance(windows.guides(places), windows.distance)
        for part, spread, pieces in zip(parts, spreads, found, strict=True):
            system = System.of(windows, fine, spread, part, places)
            weights = torch.linalg.solve(system.seen, system.mixed.transpose(1, 2)).transpose(1, 2)
            left = (system.own - (weights * system.mixed).sum(2)).clamp_min(0.0)
            pieces.append((weights @ system.values, left))
    return [_joined(pieces, windows) for pieces in found]


def _joined(pieces: Sequence[tuple[Tensor, Tensor]], windows: Windows) -> Kriged:
    values = _laid(torch.cat([value for value, _ in pieces]), windows)
    return Kriged(values, _laid(torch.cat([left for _, left in pieces])[..., None], windows)[0])


def _laid(blocks: Tensor, windows: Windows) -> Tensor:
    """(h·w, r², c) of every coarse pixel to (c, H, W)."""
    rows, cols = windows.grid
    ratio = windows.ratio
    laid = blocks.reshape(rows, cols, ratio, ratio, -1).permute(4, 0, 2, 1, 3)
    return laid.reshape(-1, rows * ratio, cols * ratio)
