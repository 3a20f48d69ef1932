"""fuse: the most probable image of low rank, in closed form by a Sylvester equation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.signal import signal_space, texture_noise
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.sylvester import Sylvester, trimmed

__all__ = ["FUSE"]

_OUTSIDE = 1e-3
"""Share of the point spread function's weight by which it may be cut."""

_FLOOR = 1e-4
"""Least standard deviation of a residual that is believed, in the scene's root mean squares."""

_NEAR, _FAR = 8, 24
"""Hyperspectral pixels that residuals are taken to reach before anything is learned, and at most."""


@dataclass
class FUSE(PairMethod):
    """X = m + E U,  min ‖Λz^-½ (Z − X B S)‖² + ‖Λy^-½ (Y − R X)‖² + ‖U − Ū‖²_P.

    E spans the principal components of the noise-whitened Z that stand above the noise, Ū is Z interpolated.
    The prior U ~ N(Ū, P⁻¹) is a scene's or plain. A scene's: the detail that interpolation misses is taken to
    have the covariance of the scene, a share α of it, α being what Ū leaves of the variance of Y; so it fits
    every ratio and unit. Λ are the variances of the noise and of what the subspace and the sensors' model
    leave of the data. Plain: unit weights and P = λ Eᵀ E, as the authors' toolbox has it.

    Source: Wei, Dobigeon and Tourneret (2015), doi:10.1109/TIP.2015.2458572, with the Gaussian prior.
    """

    rank: int | None = field(default=None, metadata={"ge": 1, "le": 1000})
    """Components; None: as many as stand above the noise, 40 at most."""

    prior: Literal["scene", "plain"] = "scene"
    """Whose covariance the detail has, and whether data are weighted by what they are worth."""

    weight: float = field(default=1e-3, metadata={"ge": 1e-12, "le": 1e6})
    """λ of the plain prior, to the weight of the data, reflectance to reflectance."""

    @property
    def card(self) -> Card:
        """A Gaussian posterior."""
        return Card(
            name="fuse",
            title="Low-rank Gaussian posterior by a Sylvester equation (FUSE)",
            source="10.1109/TIP.2015.2458572",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            seam=5e-5,
            memory=8.0,
        )

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A small subspace."""
        return cls(**({"rank": 6} | settings))

    def context(self, ratio: int, reach: int) -> int:
        """Through the point spread function and back, the interpolation, and the influence as learned."""
        learned = [int(t) for name, t in self.state.items() if name.endswith(".margin")]
        return ratio * (max(learned, default=_NEAR) + 3) + 3 * (reach + ratio)

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The subspace, the weights of data and prior, and how far residuals are felt."""
        model = _compact(model).to(pairs[0].coarse)
        pixels = torch.cat([pair.coarse[:, pair.clear] for pair in pairs], 1).T
        space = signal_space(pixels, pairs[0].nm, pairs[0].coarse_noise, self.rank)
        tick(0.5, "subspace")
        left = [_left(pair, model, space) for pair in pairs]
        if self.prior == "plain":
            gains = self._plain(model, space)
        else:
            known = torch.cat([fine[:, p.known] for p, (_, _, fine) in zip(pairs, left, strict=True)], 1)
            gains = _scene(pairs, model, space, pixels, known)
        largest = max(float(coarse.abs().max()) for _, coarse, _ in left)
        tolerance = 0.5 * self.card.seam / max(largest, 1e-12)
        state = space.tensors() | gains
        while (margin := _equation(model, state).influence(tolerance)) > _FAR:
            state["coarse_gain"] = 0.5 * state["coarse_gain"]
        return state | {"margin": torch.tensor(margin)}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """The interpolated coefficients, and what the equation adds from the residuals of both images."""
        model, space = _compact(model), Subspace.of(state)
        start, coarse, fine = _left(pair, model, space)
        d, f = torch.tensordot(state["coarse_gain"], coarse, 1), torch.tensordot(state["fine_gain"], fine, 1)
        found = start.add_(_equation(model, state).image(d, f, int(state["margin"])))
        return space.expand(found[None])[0]

    def _plain(self, model: PairModel, space: Subspace) -> dict[str, Tensor]:
        """Eᵀ, (R E)ᵀ and λ Eᵀ E."""
        return {
            "coarse_gain": space.basis,
            "fine_gain": space.basis @ model.response.T,
            "precision": self.weight * space.basis @ space.basis.T,
        }


def _scene(
    pairs: Sequence[Pair], model: PairModel, space: Subspace, pixels: Tensor, left: Tensor
) -> dict[str, Tensor]:
    """(p, L) Eᵀ Λz⁻¹, (p, l) (R E)ᵀ Λy⁻¹ and (p, p) P, in scores of unit variance.

    Λz holds noise and what lies outside the subspace, band by band, and ε² E Eᵀ: what is wrong with a point
    spread function is wrong with all bands at once. Λy holds noise and what is wrong with the response.
    """
    floor = (_FLOOR * pixels.square().mean().sqrt()).square().clamp_min(1e-30)
    centred = pixels - space.mean
    outside = (centred - centred @ space.analysis @ space.basis).square().mean(0)
    bare = space.basis / (space.noise.square() + outside + floor)
    blurred, untold = _untold(pairs, model, space)
    wrong = untold.sum() / blurred.sum().clamp_min(1e-30) * (bare @ space.basis.T).double()
    held = torch.linalg.solve(torch.eye(space.rank).to(wrong) + wrong, bare.double()).to(bare)
    fine = (model.misfit.square() - untold).clamp_min(0.0) + _fine_noise(pairs, model, untold) + floor
    seen = space.basis @ model.response.T
    missed = (left.square().mean(1) - fine).clamp_min(0.0).sum()
    share = (missed / seen.square().sum().clamp_min(1e-30)).clamp(1e-4, 1.0)
    precision = torch.eye(space.rank).to(fine) / share
    return {"coarse_gain": held, "fine_gain": seen / fine, "precision": precision}


def _fine_noise(pairs: Sequence[Pair], model: PairModel, untold: Tensor) -> Tensor:
    """(l,) variance: as given, or the lesser of what the blur may have averaged and what texture hides."""
    given = pairs[0].fine_noise
    if given is not None:
        return given.square()
    unblurred = untold * model.averaged
    return torch.minimum(unblurred, texture_noise([pair.fine for pair in pairs]).square().to(unblurred))


def _untold(pairs: Sequence[Pair], model: PairModel, space: Subspace) -> tuple[Tensor, Tensor]:
    """(l,) variances: of the blurred fine bands, and of what no combination of the coarse ones tells."""
    low = torch.cat([model.lowpass(pair.fine)[:, pair.clear] for pair in pairs], 1).T.double()
    coarse = torch.cat([pair.coarse[:, pair.clear] for pair in pairs], 1).T
    scores = ((coarse - space.mean) @ space.analysis).double()
    scores, low = scores - scores.mean(0), low - low.mean(0)
    gram = scores.T @ scores
    load = 1e-9 * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram)).to(gram)
    missed = low - scores @ torch.linalg.solve(gram + load, scores.T @ low)
    spare = max(1.0 - (space.rank + 1) / len(low), 1.0 / len(low))
    return low.square().mean(0).to(coarse), (missed.square().mean(0) / spare).to(coarse)


def _compact(model: PairModel) -> PairModel:
    """Without the kernel's empty rings: where none overlaps its neighbours, blocks stand alone."""
    return replace(model, kernel=trimmed(model.kernel, model.ratio, _OUTSIDE))


def _left(pair: Pair, model: PairModel, space: Subspace) -> tuple[Tensor, Tensor, Tensor]:
    """(p, H, W) interpolated coefficients, and what they leave of the coarse and of the fine image."""
    centred = pair.coarse - space.mean[:, None, None]
    start = model.upsample(torch.tensordot(space.analysis.T, centred, 1))
    coarse = centred - torch.tensordot(space.basis.T, model.lowpass(start), 1)
    level = (model.response @ space.mean)[:, None, None]
    return start, coarse, pair.fine - level - torch.tensordot(model.response @ space.basis.T, start, 1)


def _equation(model: PairModel, state: Mapping[str, Tensor]) -> Sylvester:
    """What both images and the prior say of the coefficients, in double precision."""
    basis = state["basis"].double()
    coarse = state["coarse_gain"].double() @ basis.T
    fine = state["fine_gain"].double() @ (model.response.double() @ basis.T)
    # The gains were rounded: what is symmetric by nature is made so.
    fine = (fine + fine.T) / 2 + state["precision"].double()
    return Sylvester((coarse + coarse.T) / 2, fine, model.kernel, model.ratio)
