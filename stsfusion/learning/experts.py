"""Experts: softly gated linear maps of a multispectral image, as features for a linear regression.

::

    u = [whitened y, its neighbourhood's mean]      g_m(u) ∝ exp(−‖u − c_m‖² / width)
    raw   g_m, g_m · u       ─ minus what is linear in y ─ whitened over the fine pixels ─ bounded ─►  φ(u)

A regression on φ that is shrunk to nothing is the linear one. Whitening over the *fine* pixels makes every
feature count by what it does to the image that is asked for, not to the few coarse pixels that are learned
from; the bound keeps rare surfaces from being extrapolated to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from stsfusion.learning.kept import Kept

__all__ = ["REACH", "Experts", "Looks"]

REACH = 2
"""Fine pixels that a neighbourhood extends on every side."""

_BOUND = 2.0
"""Root mean square of a pixel's features beyond which they are scaled back."""

_FAINT = 1e-6
"""Share of the strongest direction's variance under which a direction of the raw features is dropped."""

_ROUNDING = 1e-12
"""Share of the mean squared reflectance that the variance of a direction exceeds unless bands repeat."""

_CHUNK = 1 << 16
"""Fine pixels that are worked on at once."""


@dataclass(frozen=True, eq=False)
class Looks(Kept):
    """What an image looks like at a pixel: its whitened bands, and their mean over the neighbourhood."""

    mean: Tensor
    """(l,) reflectance."""

    white: Tensor
    """(l, k) from reflectance to whitened bands, k = l unless bands repeat each other."""

    @classmethod
    def learn(cls, pixels: Tensor) -> Self:
        """From (n, l) fine pixels."""
        mean = pixels.double().mean(0)
        centred = pixels.double() - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / max(len(pixels), 1))
        floor = (1e-6 * values.max()).clamp_min(1e-20)
        # What differs by rounding alone would come out as noise of unit size.
        keep = values > _ROUNDING * pixels.double().square().mean()
        keep[-1] = True
        white = vectors[:, keep] * values[keep].clamp_min(floor).rsqrt()
        return cls(mean.float(), white.float())

    def __call__(self, image: Tensor) -> Tensor:
        """(l, H, W) to (2 k, H, W); edges are repeated."""
        own = torch.einsum("lk,lyx->kyx", self.white, image - self.mean[:, None, None])
        wide = pad(own[None], (REACH,) * 4, mode="replicate")
        return torch.cat([own, avg_pool2d(wide, 2 * REACH + 1, 1)[0]])


@dataclass(frozen=True, eq=False)
class Experts(Kept):
    """A number of experts and how their features are made."""

    gates: Tensor
    """(g,) which looks the gates go by."""

    inputs: Tensor
    """(i,) which looks the experts map."""

    centres: Tensor
    """(K, g)."""

    width: Tensor
    """() mean squared distance to the nearest centre."""

    level: Tensor
    """(d,) mean of the raw features."""

    linear: Tensor
    """(k, d) what of them is linear in the whitened bands."""

    turn: Tensor
    """(d, D) whitening of the rest."""

    @classmethod
    def learn(cls, looks: Tensor, gates: Tensor, inputs: Tensor, centres: Tensor) -> Self:
        """From (n, 2 k) looks of sampled fine pixels, and (K, g) centres among what the gates go by."""
        width = torch.cdist(looks[:, gates], centres).square().amin(1).mean().clamp_min(1e-6)
        bare = cls(gates, inputs, centres, width, *(torch.zeros(0),) * 3)
        raw = bare._raw(looks).double()
        own = looks[:, : looks.shape[1] // 2].double()
        level = raw.mean(0)
        raw = raw - level
        linear = torch.linalg.pinv(own.T @ own, rtol=1e-10, hermitian=True) @ (own.T @ raw)
        raw = raw - own @ linear
        values, vectors = torch.linalg.eigh(raw.T @ raw / max(len(raw), 1))
        keep = values > _FAINT * values.max().clamp_min(1e-12)
        turn = vectors[:, keep] * values[keep].rsqrt()
        return cls(gates, inputs, centres, width, level.float(), linear.float(), turn.float())

    def _raw(self, looks: Tensor) -> Tensor:
        """(n, d) gates, gated inputs, and inputs that are not of the pixel itself."""
        gate = torch.softmax(-torch.cdist(looks[:, self.gates], self.centres).square() / self.width, 1)
        entry = looks[:, self.inputs]
        around = entry[:, looks.shape[1] // 2 :]
        return torch.cat([gate, (gate[:, :, None] * entry[:, None, :]).flatten(1), around], 1)

    def features(self, looks: Tensor) -> Tensor:
        """(n, 2 k) looks to (n, D) features."""
        own = looks[:, : looks.shape[1] // 2]
        free = self._raw(looks).sub_(self.level).sub_(own @ self.linear) @ self.turn
        size = torch.linalg.vector_norm(free, dim=1, keepdim=True) / max(free.shape[1], 1) ** 0.5
        return free.mul_(_BOUND / size.clamp_min(_BOUND))

    def apply(self, looks: Tensor, slope: Tensor) -> Tensor:
        """(2 k, H, W) looks through (D, p) weights to (p, H, W), piece by piece."""
        flat = looks.flatten(1).T
        pieces = [self.features(piece) @ slope for piece in flat.split(_CHUNK)]
        return torch.cat(pieces).T.reshape(-1, *looks.shape[1:])

    def image(self, looks: Tensor) -> Tensor:
        """(D, H, W) features."""
        return self.features(looks.flatten(1).T).T.reshape(-1, *looks.shape[1:])
