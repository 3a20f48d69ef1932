"""Salsa: fusion in a subspace with total variation, by alternating directions with four splits.

::

    min over U  ½ ‖Z − E U K‖² + λ_m/2 ‖Y − R E U‖² + λ_φ VTV(U)        K = B S, blur and decimation

    V1 = U B        V2 = U        (V3, V4) = (U D_h, U D_v)

Every step is closed: U by one pair of Fourier transforms, V1 and V2 by p×p inverses, V3 and V4 by shortening
vectors. V1 differs from U B at the pixels that decimation keeps only, so it is held on the coarse grid.

Source: Simões et al. (2015), doi:10.1109/TGRS.2014.2375320, algorithm 1 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.operators.solvers import differences, divergence, group_soft, vector_variation
from stsfusion.operators.sylvester import decimate, power_spectrum, spread

__all__ = ["Salsa"]


@dataclass(frozen=True, eq=False)
class Salsa:
    """½ tr(Uᵀ A U K Kᵀ) − tr(Dᵀ U K) + ½ tr(Uᵀ G U) − tr(Fᵀ U) + λ_φ VTV(U), to be minimised."""

    coarse: Tensor
    """(p, p) A = Eᵀ E."""

    fine: Tensor
    """(p, p) G = λ_m (R E)ᵀ R E."""

    kernel: Tensor
    """(k, k) point spread function on the fine grid."""

    ratio: int
    """Fine pixels along one side of a coarse one."""

    variation: float
    """λ_φ."""

    penalty: float
    """μ, with which the splits are tied to U; it decides how fast, not where to."""

    def cost(self, u: Tensor, d: Tensor, f: Tensor) -> Tensor:
        """() the function, but for a constant; `u`, `d` and `f` as for `minimise`."""
        seen = decimate(u, self.kernel, self.ratio)
        told = 0.5 * (seen * _mix(self.coarse, seen)).sum() - (d * seen).sum()
        told = told + 0.5 * (u * _mix(self.fine, u)).sum() - (f * u).sum()
        return told + self.variation * vector_variation(u)

    def minimise(self, d: Tensor, f: Tensor, start: Tensor, steps: int) -> Tensor:
        """A fixed number of steps on a periodic image.

        Parameters
        ----------
        d
            (p, h, w) Eᵀ Z.
        f
            (p, H, W) λ_m (R E)ᵀ Y.
        start
            (p, H, W) where to begin.
        steps
            How many.

        Returns
        -------
        Tensor
            (p, H, W) U.
        """
        mu, size = self.penalty, (start.shape[1], start.shape[2])
        near, far = self._inverse(self.coarse).to(start), self._inverse(self.fine).to(start)
        fixed = (_mix(near, d), _mix(far, f))
        power, inverse = (t.to(start) for t in self._spectra(size))
        u, wave = start, torch.fft.rfft2(start)
        seen = decimate(u, self.kernel, self.ratio)
        # Of every split: what U is asked to be (V + dual), and the dual.
        ask1, ask2, ask3 = seen, u, differences(u)
        dual1, dual2, dual3 = torch.zeros_like(seen), torch.zeros_like(u), torch.zeros_like(ask3)
        for _ in range(steps):
            pull = spread(ask1 - seen, self.kernel, self.ratio).add_(ask2).add_(divergence(ask3))
            wave = (torch.fft.rfft2(pull) + power * wave) * inverse
            u = torch.fft.irfft2(wave, s=size)
            seen = decimate(u, self.kernel, self.ratio)
            free = seen - dual1
            split = fixed[0] + mu * _mix(near, free)
            dual1, ask1 = split - free, 2.0 * split - free
            free = u - dual2
            split = fixed[1] + mu * _mix(far, free)
            dual2, ask2 = split - free, 2.0 * split - free
            free = differences(u) - dual3
            split = group_soft(free, self.variation / mu, (0, 1))
            dual3, ask3 = split - free, 2.0 * split - free
        return u

    def _inverse(self, matrix: Tensor) -> Tensor:
        eye = torch.eye(len(matrix), dtype=torch.float64, device=matrix.device)
        return torch.linalg.inv(matrix.double() + self.penalty * eye)

    def _spectra(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(H, W/2 + 1) |b̂|² and 1 / (|b̂|² + |d̂_h|² + |d̂_v|² + 1)."""
        point = torch.zeros(1, *size, dtype=torch.float64, device=self.kernel.device)
        point[0, 0, 0] = 1.0
        edges = torch.fft.rfft2(differences(point)).abs().square().sum((0, 1))
        power = power_spectrum(self.kernel, size)[:, : edges.shape[1]]
        return power, 1.0 / (power + edges + 1.0)


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.tensordot(matrix.to(image), image, 1)
