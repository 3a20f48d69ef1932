"""hysure: subspace-based super-resolution with vector total variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.signal import signal_space
from stsfusion.learning.unmixing import vertices
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.salsa import Salsa
from stsfusion.operators.sylvester import trimmed

__all__ = ["HySure"]

_FEWEST, _MOST = 10, 30
"""Components that the noise may decide for: the range that the authors used."""

_OUTSIDE = 1e-3
"""Share of the point spread function's weight by which it may be cut."""

_BRIGHT = 0.999
"""Quantile of the reflectance that is scaled to one, for λ_φ to mean what it meant to the authors."""

_SAMPLES = 1_000_000
"""Values that the quantile is taken of, at most."""


@dataclass
class HySure(PairMethod):
    """X = E U,  min ½ ‖Z − X B S‖² + λ_m/2 ‖Y − R X‖² + λ_φ Σ ‖(U D_h, U D_v)‖.

    Z counts through its part in the span of E alone, which denoises it. The last term is the total variation
    of all coefficients together: where one has an edge, the others may have theirs at no further cost.

    Source: Simões et al. (2015), doi:10.1109/TGRS.2014.2375320, eq. 9 and algorithm 1.
    """

    rank: int | None = field(default=None, metadata={"ge": 1, "le": 1000})
    """Components; None: those above the noise, 10 to 30."""

    basis: Literal["vertices", "components"] = "vertices"
    """E: spectra of the scene that enclose the others, or principal components."""

    fine_weight: float = field(default=1.0, metadata={"ge": 0.0, "le": 1e6})
    """λ_m."""

    variation: float = field(default=5e-4, metadata={"ge": 0.0, "le": 1e3})
    """λ_φ, for data whose bright pixels are at one."""

    penalty: float = field(default=0.05, metadata={"ge": 1e-6, "le": 1e3})
    """μ, which ties the splits together."""

    steps: int = field(default=200, metadata={"ge": 1, "le": 100_000, "quick": 60})
    """Of the alternating directions."""

    draws: int = field(default=20, metadata={"ge": 1, "le": 1000})
    """Times that vertices are looked for; the largest volume is kept."""

    seed: int = 0
    """Of the first draw's directions."""

    @property
    def card(self) -> Card:
        """Total variation in a subspace."""
        return Card(
            name="hysure",
            title="Vector total variation in a subspace (HySure)",
            source="10.1109/TGRS.2014.2375320",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            seam=5e-5,
            memory=24.0,
        )

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A small subspace and a few steps."""
        return cls(**({"rank": 3, "steps": 4, "draws": 2} | settings))

    def context(self, ratio: int, reach: int) -> int:
        """How far a pixel is felt: each step divides it within some pixels, and the blur carries it on."""
        return 6 * ratio + 3 * reach + 8

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The basis, and the level that counts as bright."""
        pixels = torch.cat([pair.coarse[:, pair.clear] for pair in pairs], 1)
        level = _bright(pixels)
        rank = self._rank(pixels, pairs[0])
        if self.basis == "vertices":
            found = self._vertices(pixels / level, rank)
        else:
            found = torch.linalg.eigh(pixels.double() @ pixels.double().T).eigenvectors.flip(1)[:, :rank]
        return {"basis": found.to(pixels).contiguous(), "level": level, "mean": pixels.mean(1)}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """E U, from the projected and interpolated coarse image onwards."""
        model = replace(model, kernel=trimmed(model.kernel, model.ratio, _OUTSIDE))
        basis, level = state["basis"], state["level"]
        seen = model.response @ basis
        inverse = torch.linalg.pinv(basis.double(), rtol=1e-6).to(basis)
        width = -(-self.context(pair.ratio, model.reach) // (2 * pair.ratio))
        near, far = pair.coarse / level, state["mean"][:, None, None] / level
        coarse = _framed(basis.T, near, far, width)
        start = model.upsample(_framed(inverse, near, far, width))
        far = torch.tensordot(model.response, far, 1)
        fine = _framed(self.fine_weight * seen.T, pair.fine / level, far, width * pair.ratio)
        salsa = Salsa(
            basis.double().T @ basis.double(),
            self.fine_weight * seen.double().T @ seen.double(),
            model.kernel,
            model.ratio,
            self.variation,
            self.penalty,
        )
        found = salsa.minimise(coarse, fine, start, self.steps)
        inner = slice(width * pair.ratio, -width * pair.ratio)
        return torch.tensordot(basis * level, found[:, inner, inner], 1)

    def _vertices(self, pixels: Tensor, rank: int) -> Tensor:
        """(L, p) of all draws those that span the largest volume."""
        drawn = [vertices(pixels, rank, self.seed + i).double() for i in range(self.draws)]
        volumes = [float(torch.linalg.slogdet(one.T @ one).logabsdet) for one in drawn]
        return drawn[volumes.index(max(volumes))]

    def _rank(self, pixels: Tensor, pair: Pair) -> int:
        """As asked for, or by the noise; never more than there are bands or pixels."""
        if self.rank is not None:
            return min(self.rank, *pixels.shape)
        space = signal_space(pixels.T, pair.nm, pair.coarse_noise, most=_MOST)
        return min(max(space.rank, _FEWEST), *pixels.shape)


def _bright(pixels: Tensor) -> Tensor:
    """() the level under which nearly all reflectance lies."""
    values = pixels.abs().flatten()
    values = values[:: -(-len(values) // _SAMPLES)]
    return torch.quantile(values, _BRIGHT).clamp_min(1e-12)


def _framed(matrix: Tensor, image: Tensor, far: Tensor, width: int) -> Tensor:
    """(p, h, w) mixed from (c, h, w), edges repeated and fading into what is usual in the scene, (c, 1, 1).

    The Fourier transform joins one edge to the other; like this there is nothing to be seen where it does.
    """
    away = torch.tensordot(matrix, image - far, 1)
    fade = 0.5 + 0.5 * torch.cos(torch.linspace(0.0, torch.pi, width + 1)[1:]).to(image)
    rows, cols = (torch.cat([fade.flip(0), fade.new_ones(n), fade]) for n in image.shape[1:])
    around = pad(away[None], (width,) * 4, "replicate")[0] * torch.outer(rows, cols)
    return around + torch.tensordot(matrix, far, 1)
