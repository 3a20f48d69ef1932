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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.krigewindows import PIECE, Windows, laid
from stsfusion.learning.unguided import Unguided
from stsfusion.operators.sylvester import trimmed

__all__ = ["Coarse", "Kriged", "Kriging", "Likeness", "krige", "trim"]

_UNSEEN = 1e6
"""Noise of coarse pixels that must not be believed, in variances of a coarse pixel."""

_TRACE = 2e-3
"""Share of a kernel's weight whose outer rings are left out."""

_SAMPLE = 96
"""Windows from which the variance of a coarse pixel is learned."""


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
        return alike.mul_((distance / -float(self.near)).exp_().div_(float(self.level)))

    def coarse(self, scenes: Sequence[tuple[Tensor, Tensor, int]], half: int) -> Tensor:
        """() variance of a coarse pixel, from windows here and there.

        Parameters
        ----------
        scenes
            Guides (q, H, W), kernels (ky, kx) and ratios.
        half
            Coarse pixels that a window extends on every side.
        """
        found = []
        for guide, kernel, ratio in scenes:
            kernel = trim(kernel, ratio)
            windows = Windows(guide, ratio, half, kernel.shape[0])
            spread = windows.spread(kernel)
            count = windows.grid[0] * windows.grid[1]
            step = max(1, count // max(1, _SAMPLE // len(scenes)))
            some = torch.arange(step // 2, count, step, device=guide.device)
            for places in some.split(max(1, PIECE // windows.distance.numel())):
                fine = self.covariance(windows.guides(places), windows.distance)
                found.append((spread @ fine @ spread.T).diagonal(dim1=1, dim2=2).mean(1))
        return torch.cat(found).mean().clamp_min(1e-9)


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

    larger: Tensor | None = None
    """(h, w) times by which the values' own variance is larger than elsewhere; None: the same everywhere."""


@dataclass(frozen=True, eq=False)
class Kriged:
    """Values on the fine grid."""

    values: Tensor
    """(c, H, W)."""

    doubt: Tensor
    """(H, W) variance that is left, in variances of a coarse value."""


@dataclass(frozen=True, eq=False)
class Blurred:
    """The covariance of a few windows' fine pixels, seen through one kernel."""

    seen: Tensor
    """(m, side², side²) of the coarse pixels."""

    mixed: Tensor
    """(m, r², side²) of the middle's fine pixels with the coarse ones."""

    @classmethod
    def of(cls, fine: Tensor, spread: Tensor, middle: Tensor) -> Self:
        """From the (m, n, n) covariance of the fine pixels."""
        mixed = fine @ spread.T
        return cls(spread @ mixed, mixed[:, middle])


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
    def of(cls, windows: Windows, blur: Blurred, own: Tensor, part: Coarse, places: Tensor) -> Self:
        """From the covariances of a part's own kernel, and the part with a frame."""
        clear = windows.around(part.clear[None], places)[..., 0]
        own_noise = torch.full_like(clear, part.noise, dtype=torch.float32)
        if part.larger is not None:
            own_noise = own_noise / windows.around(part.larger[None], places)[..., 0].clamp_min(1.0)
        noise = torch.where(clear, own_noise, _UNSEEN)
        values = windows.around(part.values, places) * clear[..., None]
        return cls(blur.seen + torch.diag_embed(noise), blur.mixed, own, values)


def trim(kernel: Tensor, ratio: int) -> Tensor:
    """A kernel without its outer rings of next to no weight."""
    return trimmed(kernel, ratio, _TRACE)


@dataclass(frozen=True, eq=False)
class Kriging:
    """Parts on their way to one fine grid."""

    windows: Windows
    """About the coarse pixels."""

    parts: Sequence[Coarse]
    """What is brought there, each with a frame."""

    spreads: Sequence[Tensor]
    """(side², n) weights of the fine pixels, one for each kernel."""

    kinds: Sequence[int]
    """Which of them is every part's."""

    likeness: Likeness
    """Of fine pixels."""

    unguided: tuple[Windows, Unguided] | None = None
    """About the same pixels, of the (1, H, W) mask of those without a guide; None: there are none."""

    @classmethod
    def of(
        cls,
        guide: Tensor,
        parts: Sequence[Coarse],
        likeness: Likeness,
        ratio: int,
        half: int,
        unguided: Unguided | None = None,
    ) -> Self:
        """To the grid of the (q, H, W) guide, from windows of (2 half + 1)² pixels."""
        kernels, kinds = _distinct([trim(part.kernel, ratio) for part in parts])
        windows = Windows(guide, ratio, half, max(kernel.shape[0] for kernel in kernels))
        framed = [
            replace(
                part,
                values=windows.framed(part.values),
                clear=windows.framed(part.clear[None])[0],
                larger=None if part.larger is None else windows.framed(part.larger[None])[0],
            )
            for part in parts
        ]
        masked = None
        if unguided is not None:
            masked = replace(windows, guide=unguided.where[None].float()), unguided
        return cls(windows, framed, [windows.spread(kernel) for kernel in kernels], kinds, likeness, masked)

    def _covariance(self, places: Tensor) -> Tensor:
        """(m, n, n) of the fine pixels of windows; those without a guide are as alike as any two."""
        windows = self.windows
        fine = self.likeness.covariance(windows.guides(places), windows.distance)
        if self.unguided is None:
            return fine
        masks, unguided = self.unguided
        mask = masks.guides(places)[..., 0]
        alike = unguided.alike(self.likeness.width)
        own = 1.0 - alike + self.likeness.linear.to(alike) * unguided.looks.sum()
        factor = 1.0 - mask * (1.0 - alike.sqrt())
        fine = fine * factor[:, :, None] * factor[:, None]
        return fine + torch.diag_embed(mask * own / self.likeness.level.to(own))

    def rows(self, first: int, last: int) -> list[Kriged]:
        """Every part at the fine pixels of these coarse rows."""
        windows = self.windows
        found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.parts]
        for places in windows.pieces(first, last):
            fine = self._covariance(places)
            own = fine.diagonal(dim1=1, dim2=2)[:, windows.middle]
            blurred = [Blurred.of(fine, spread, windows.middle) for spread in self.spreads]
            for part, kind, pieces in zip(self.parts, self.kinds, found, strict=True):
                system = System.of(windows, blurred[kind], own, part, places)
                weights = torch.linalg.solve(system.seen, system.mixed.transpose(1, 2)).transpose(1, 2)
                left = (system.own - (weights * system.mixed).sum(2)).clamp_min(0.0)
                pieces.append((weights @ system.values, left))
        return [_joined(pieces, windows) for pieces in found]


def krige(guide: Tensor, parts: Sequence[Coarse], likeness: Likeness, ratio: int, half: int) -> list[Kriged]:
    """Bring every part to the fine grid of the (q, H, W) guide, from windows of (2 half + 1)² pixels."""
    kriging = Kriging.of(guide, parts, likeness, ratio, half)
    return kriging.rows(0, kriging.windows.grid[0])


def _distinct(kernels: Sequence[Tensor]) -> tuple[list[Tensor], list[int]]:
    """Kernels that differ, and which of them each one is."""
    found: list[Tensor] = []
    kinds = []
    for kernel in kernels:
        same = [kind for kind, other in enumerate(found) if torch.equal(kernel, other)]
        kinds.append(same[0] if same else len(found))
        found += [] if same else [kernel]
    return found, kinds


def _joined(pieces: Sequence[tuple[Tensor, Tensor]], windows: Windows) -> Kriged:
    cols, ratio = windows.grid[1], windows.ratio
    values = laid(torch.cat([value for value, _ in pieces]), cols, ratio)
    return Kriged(values, laid(torch.cat([left for _, left in pieces])[..., None], cols, ratio)[0])
