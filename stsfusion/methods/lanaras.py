"""lanaras: coupled spectral unmixing by alternating projected gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.unmixing import abundances, enclosing, on_simplex, room, stride, vertices
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Lanaras", "better_endmembers"]

_SHARE = 0.99
"""Share of the longest safe gradient step that is gone."""


@dataclass
class Lanaras(PairMethod):
    """min ‖Z − E A S‖² + ‖Y − R E A‖², 0 ≤ E ≤ 1, A ≥ 0, Σ_p A = 1, reflectance in units of its largest.

    ::

        low resolution    E ← clamp(E − (E AS − Z) (AS)ᵀ / ‖AS‖², 0, 1)
        high resolution   A ← P(A − (RE)ᵀ (RE A − Y) / ‖RE‖²)           P: on the simplex, pixel by pixel

    `fit` alternates the two until the cost changes by less than `tolerance`, from the corners of a small
    simplex around the hyperspectral pixels and their interpolated abundances. `fuse` unmixes the coarse image
    with these endmembers, interpolates, and goes high-resolution steps, accelerated.

    Source: Lanaras, Baltsavias and Schindler (2015), eqs. 6 to 13.
    """

    endmembers: int = field(default=30, metadata={"ge": 2, "le": 200})
    """Columns of E, fewer where the pixels spread over fewer dimensions."""

    tolerance: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1.0})
    """Relative change of the cost under which `fit` ends."""

    most: int = field(default=1000, metadata={"ge": 1, "le": 100_000})
    """The most alternations of `fit`."""

    coarse_steps: int = field(default=500, metadata={"ge": 1, "le": 100_000})
    """Steps in which the coarse image is unmixed."""

    fine_steps: int = field(default=100, metadata={"ge": 1, "le": 100_000})
    """High-resolution steps of `fuse`."""

    corner_steps: int = field(default=1500, metadata={"ge": 0, "le": 100_000})
    """Steps of the search for the small simplex; 0: begin from the purest pixels as they are."""

    seed: int = field(default=0, metadata={"ge": 0, "le": 2**31 - 1})
    """Of the search for the purest pixels."""

    @classmethod
    def example(cls, **settings: object) -> Lanaras:
        """Few endmembers and steps."""
        brief = {"endmembers": 5, "most": 6, "coarse_steps": 40, "fine_steps": 20, "corner_steps": 20}
        return cls(**brief | settings)  # type: ignore[arg-type]

    @property
    def card(self) -> Card:
        """Unmixing."""
        return Card(
            name="lanaras",
            title="Coupled spectral unmixing",
            source="10.1109/ICCV.2015.409",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=12.0,
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The endmembers and what makes `fuse` repeatable.

        Returns
        -------
        dict
            `endmembers` (L, p) in units of `level` (), the largest value of both images; `coarse_step` ()
            and `fine_step` (), lengths of a gradient step in either image.
        """
        level = _largest(pairs)
        coarse = torch.cat([pair.coarse[:, pair.clear] for pair in pairs], 1) / level
        fine = [pair.fine.flatten(1) / level for pair in pairs]
        response = model.response.to(coarse)
        endmembers = self._begin(coarse)
        tick(0.1, "first endmembers")
        state = _state(endmembers, response, level)
        shares = [self._start(pair, model, state) for pair in pairs]
        low = _low(pairs, model, shares)
        last = _cost([coarse, *fine], endmembers, response, [low, *shares])
        for done in range(self.most):
            endmembers = better_endmembers(coarse, endmembers, low)
            seen = response @ endmembers
            shares = [_closer(y, seen, a) for y, a in zip(fine, shares, strict=True)]
            low = _low(pairs, model, shares)
            cost = _cost([coarse, *fine], endmembers, response, [low, *shares])
            if abs(last - cost) <= self.tolerance * last:
                break
            last = cost
            tick(0.1 + 0.9 * done / self.most, "coupled unmixing")
        return _state(endmembers, response, level)

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """E A, A unmixed from the fine image."""
        endmembers, level = state["endmembers"], state["level"]
        start = self._start(pair, model, state)
        seen = model.response.to(endmembers) @ endmembers
        fine = pair.fine.flatten(1) / level
        shares = abundances(fine, seen, self.fine_steps, start, state["fine_step"])
        return (level * endmembers @ shares).unflatten(1, pair.fine.shape[1:])

    def _begin(self, coarse: Tensor) -> Tensor:
        """Corners of a small simplex around the pixels."""
        corners = vertices(coarse, room(coarse, self.endmembers), self.seed)
        return enclosing(coarse, corners, self.corner_steps).clamp(0.0, 1.0)

    def _start(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """(p, H W) abundances of the coarse image, interpolated."""
        coarse = pair.coarse.flatten(1) / state["level"]
        shares = abundances(coarse, state["endmembers"], self.coarse_steps, step=state["coarse_step"])
        return on_simplex(model.upsample(shares.unflatten(1, pair.coarse.shape[1:])).flatten(1))


def better_endmembers(pixels: Tensor, endmembers: Tensor, shares: Tensor) -> Tensor:
    """A projected gradient step of ½ ‖Z − E A‖² over 0 ≤ E ≤ 1; (L, n), (L, p) and (p, n)."""
    gram = shares @ shares.T
    slope = endmembers @ gram - pixels @ shares.T
    largest = torch.linalg.matrix_norm(gram, 2).clamp_min(torch.finfo(gram.dtype).tiny)
    return (endmembers - _SHARE / largest * slope).clamp(0.0, 1.0)


def _closer(pixels: Tensor, endmembers: Tensor, shares: Tensor) -> Tensor:
    """One high-resolution step."""
    return abundances(pixels, endmembers, 1, shares, _SHARE * stride(endmembers))


def _state(endmembers: Tensor, response: Tensor, level: Tensor) -> dict[str, Tensor]:
    return {
        "endmembers": endmembers,
        "level": level,
        "coarse_step": _SHARE * stride(endmembers),
        "fine_step": _SHARE * stride(response @ endmembers),
    }


def _largest(pairs: Sequence[Pair]) -> Tensor:
    """() the largest value of both images."""
    values = [image.amax() for pair in pairs for image in (pair.coarse, pair.fine[:, pair.known])]
    return torch.stack(values).amax().clamp_min(torch.finfo(torch.float32).tiny)


def _low(pairs: Sequence[Pair], model: PairModel, shares: Sequence[Tensor]) -> Tensor:
    """(p, n) abundances at the clear coarse pixels."""
    images = [a.unflatten(1, pair.fine.shape[1:]) for pair, a in zip(pairs, shares, strict=True)]
    return torch.cat([model.lowpass(a)[:, pair.clear] for pair, a in zip(pairs, images, strict=True)], 1)


def _cost(images: Sequence[Tensor], endmembers: Tensor, response: Tensor, shares: Sequence[Tensor]) -> float:
    """‖Z − E A S‖² + ‖Y − R E A‖², the coarse image first."""
    bases = [endmembers] + [response @ endmembers] * (len(images) - 1)
    return sum(float((x - e @ a).square().sum()) for x, e, a in zip(images, bases, shares, strict=True))
