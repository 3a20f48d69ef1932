"""Coupled autoencoders: abundances of two images under one decoder of endmembers, tied by learnt responses.

::

    coarse Z ─ f ─► A_f ─ E ─► Z_a ≈ Z
                     PSF(A) ─ E ─► Z_b ≈ Z
                       ▲
    fine   Y ─ h ─►    A   ─ E ─► X ─ SRF ─► Y' ≈ Y            PSF(Y) ≈ SRF(Z)

All layers but the PSF act on one pixel, so that images are matrices with a pixel a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu_

from stsfusion.learning.clamp import clamp_inward
from stsfusion.learning.footprints import Footprints, aggregate, kernel_parts

__all__ = ["Abundances", "Clamp", "Coupled", "Encoder", "Fuser", "LossWeights", "joint_loss", "sparsity"]

Clamp = Literal["inward", "hard"]

Abundances = Literal["clamp", "softmax"]

_TINY = 1e-6
"""Abundances are held this far from 0 and 1 inside a logarithm."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the joint loss; every term is a sum, not a mean."""

    own: float = 1.0
    """Of |Z − Z_a|, the coarse image through its own encoder."""

    alpha: float = 10.0
    """Of |Z − Z_b|, the coarse image through the fine one's abundances."""

    beta: float = 10.0
    """Of |Y − Y'|, the fine image through its spectral response."""

    gamma: float = 100.0
    """Of |PSF(Y) − SRF(Z)|, which ties both responses."""

    mu: float = 1e-3
    """Of |1 − Σ A|, for all three abundances."""

    nu: float = 1e-3
    """Of the sparsity of A and A_f."""

    target: float = 1e-4
    """Abundance that the sparsity pulls to."""


class Encoder(nn.Module):
    """bands → w → 2w → 4w → endmembers, leaky ReLU (0.2) between, held in [0, 1] or softmax at the end."""

    def __init__(
        self, weights: Sequence[Tensor], biases: Sequence[Tensor], squash: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)
        self.squash = squash

    @classmethod
    def drawn(
        cls, sizes: Sequence[int], squash: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> Encoder:
        """Kaiming's first weights, biases zero."""
        weights = [_kaiming(a, b, generator) for a, b in pairwise(sizes)]
        return cls(weights, [torch.zeros(size) for size in sizes[1:]], squash)

    def forward(self, x: Tensor) -> Tensor:
        """(n, bands) to (n, endmembers)."""
        *inner, last = zip(self.biases, self.weights, strict=True)
        for bias, weight in inner:
            x = leaky_relu_(torch.addmm(bias, x, weight), 0.2)
        return self.squash(torch.addmm(last[0], x, last[1]))


class Coupled(nn.Module):
    """Two encoders, the endmembers that both share, and the responses of both sensors.

    Parameters
    ----------
    coverage
        (l, L) bool: where a fine band may look.
    endmembers
        Their number.
    width
        Units of the encoders' first layer; doubled twice.
    ratio
        Fine pixels along one side of a coarse one.
    generator
        Of the first weights: normal, variance 2 / fan-in, as Kaiming's.
    kernel, response
        A fixed point spread function (k, k), fixed spectral responses (l, L); None: learnt, from flat ones.
    """

    def __init__(
        self,
        coverage: Tensor,
        *,
        endmembers: int,
        width: int,
        ratio: int,
        generator: torch.Generator,
        clamp: Clamp = "inward",
        abundances: Abundances = "clamp",
        kernel: Tensor | None = None,
        response: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.hold = clamp_inward if clamp == "inward" else _clamp_hard
        squash = self.hold if abundances == "clamp" else _softmax
        (fine, coarse), sizes = coverage.shape, [width, 2 * width, 4 * width, endmembers]
        self.of_coarse = Encoder.drawn([coarse, *sizes], squash, generator)
        self.of_fine = Encoder.drawn([fine, *sizes], squash, generator)
        self.spectra = nn.Parameter(_kaiming(endmembers, coarse, generator).clamp_(0.0, 1.0))
        flat = torch.full((1, ratio**2), 1.0 / ratio**2)
        parts = flat if kernel is None else kernel_parts(kernel.float(), ratio)
        self.parts = nn.Parameter(parts, requires_grad=kernel is None)
        share = coverage.float() / coverage.sum(1, keepdim=True).clamp_min(1)
        self.shares = nn.Parameter(
            share if response is None else response.float(), requires_grad=response is None
        )
        self.register_buffer("coverage", coverage.float() if response is None else (response > 0).float())
        self.register_buffer("seen", self.coverage.any(0).nonzero()[:, 0])

    coverage: Tensor
    """(l, L) 1 where a sharp band sees a rich one, else 0."""

    seen: Tensor
    """(n,) indices of the rich bands that any sharp band sees."""

    def response(self) -> Tensor:
        """(l, L) spectral responses, rows of unit sum."""
        shares = self.shares * self.coverage
        return shares / shares.sum(1, keepdim=True).clamp_min(_TINY)

    def decode(self, abundances: Tensor) -> Tensor:
        """(n, endmembers) to (n, L)."""
        return self.hold(abundances @ self.spectra)

    def tensors(self) -> dict[str, Tensor]:
        """All that `Fuser` needs, and what was found: psf (d, r²) in parts, response (l, L)."""
        encoder = self.of_fine
        flat = {f"weight_{i}": tensor for i, tensor in enumerate(encoder.weights)}
        flat |= {f"bias_{i}": tensor for i, tensor in enumerate(encoder.biases)}
        found = {"spectra": self.spectra, "psf": self.parts, "response": self.response()}
        return {name: tensor.detach().clone() for name, tensor in {**flat, **found}.items()}

    @torch.no_grad()
    def clip(self) -> None:
        """Hold endmembers and responses in [0, 1]: after every step."""
        self.spectra.clamp_(0.0, 1.0)
        self.parts.clamp_(0.0, 1.0)
        self.shares.clamp_(0.0, 1.0)


class Fuser(nn.Module):
    """X = E(h(Y)) alone: what is left of the network once it is trained."""

    def __init__(self, tensors: Mapping[str, Tensor], abundances: Abundances = "clamp") -> None:
        super().__init__()
        weights, biases = (_numbered(tensors, kind) for kind in ("weight", "bias"))
        self.encoder = Encoder(weights, biases, _clamp_hard if abundances == "clamp" else _softmax)
        self.spectra = nn.Parameter(tensors["spectra"])

    @torch.no_grad()
    def forward(self, fine: Tensor) -> Tensor:
        """(n, l) fine pixels to (n, L)."""
        return _clamp_hard(self.encoder(fine) @ self.spectra)


def joint_loss(net: Coupled, seen: Footprints, weights: LossWeights) -> Tensor:
    """Own |Z − Z_a| + α |Z − Z_b| + β |Y − Y'| + γ |PSF(Y) − SRF(Z)| + μ Σ |1 − ΣA| + ν Σ KL(target ‖ A).

    X is formed only where a fine band looks, which is all that Y' depends on. A sum over coarse pixels, so
    that pieces of an image add up.
    """
    z, (blocks, places, bands) = seen.coarse, seen.fine.shape
    y, response = seen.fine.reshape(-1, bands), net.response()
    of_coarse, of_fine = net.of_coarse(z), net.of_fine(y)
    coarsened = aggregate(of_fine.reshape(blocks, places, -1), seen.near, net.parts)
    covered = net.hold(of_fine @ net.spectra[:, net.seen])
    back = net.hold(covered @ response[:, net.seen].T)
    across = aggregate(seen.fine, seen.near, net.parts) - net.hold(z @ response.T)
    data = weights.own * _l1(z - net.decode(of_coarse)) + weights.alpha * _l1(z - net.decode(coarsened))
    data = data + weights.beta * _l1(y - back) + weights.gamma * _l1(across)
    sums = sum((_l1(1.0 - a.sum(1)) for a in (of_fine, of_coarse, coarsened)), z.new_zeros(()))
    sparse = sparsity(of_fine, weights.target) + sparsity(of_coarse, weights.target)
    return data + weights.mu * sums + weights.nu * sparse


def sparsity(abundances: Tensor, target: float) -> Tensor:
    """Σ t ln(t / a) + (1 − t) ln((1 − t) / (1 − a)): the divergence of all abundances from a small one, t."""
    a = abundances.clamp(_TINY, 1.0 - _TINY)
    level = target * math.log(target) + (1.0 - target) * math.log(1.0 - target)
    return level * a.numel() - target * a.log().sum() - (1.0 - target) * torch.log1p(-a).sum()


def _l1(difference: Tensor) -> Tensor:
    return difference.abs().sum()


def _clamp_hard(x: Tensor) -> Tensor:
    return x.clamp(0.0, 1.0)


def _numbered(tensors: Mapping[str, Tensor], kind: str) -> list[Tensor]:
    count = sum(name.startswith(f"{kind}_") for name in tensors)
    return [tensors[f"{kind}_{place}"] for place in range(count)]


def _softmax(x: Tensor) -> Tensor:
    return x.relu().softmax(1)


def _kaiming(fan: int, out: int, generator: torch.Generator) -> Tensor:
    return torch.randn(fan, out, generator=generator) * math.sqrt(2.0 / fan)
