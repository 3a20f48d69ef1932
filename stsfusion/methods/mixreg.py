"""mixreg: blind regression of a hyperspectral subspace on a multispectral image by stacked experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.doubt import Doubt, signs
from stsfusion.learning.experts import REACH
from stsfusion.learning.kriging import HALF, Kriging
from stsfusion.learning.mixture import Lesson, Mixture
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.signal import neighbour_noise, texture_noise
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.wiener import SIGHT, Wiener
from stsfusion.operators.pairmodel import PairModel

__all__ = ["MixReg"]

_DARK = 0.05
"""Share of the mean brightness under which darker pixels count no more in the regression."""


_CLEAN = 0.05
"""Least share of the left-out errors' variance that is not the coarse image's noise."""


@dataclass
class MixReg(PairMethod):
    """X = mean + Eᵀ (f(Y) + G (Y − R X_f) + krige(Z − k * X_f)) + (what E leaves out of Z)↑.

    - E: principal components of Z, weighted by its noise as far as the sensor model's misfit confirms it.
    - f: stacked regressions of the scores on softly gated experts of Y, averaged by the point spread function;
      shrinkage, number of experts and their weights by leave-one-out on the coarse pixels.
    - G: what the multispectral image still tells, C Rᵀ (R C Rᵀ + D)⁻¹ with C the covariance of the left-out errors
      and D that of the innovations actually met at fine pixels: a sensor model that does not hold is not obeyed.
    - krige: the residual with its own correlation length and white share, the point spread function inside.

    Point spread function, response, displacement, noise, shrinkage, weights and doubt come from the pair alone.
    Standard deviations come from the left-out errors, their growth with detail and rarity, and the share of an
    error that a coarse pixel's average hides.

    Source: stsfusion; the parts as their files cite.
    """

    rank: int = field(default=64, metadata={"ge": 1, "le": 256})
    """Most components; those of which neither Y nor the neighbours tell anything are dropped."""

    seed: int = 0
    """Of the sampled pixels and the clusters."""

    uncovered: ClassVar[bool] = True

    @property
    def card(self) -> Card:
        """Stacked experts."""
        return Card(
            name="mixreg",
            title="Blind mixture regression with kriged residuals",
            source="stsfusion",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            sigma=True,
            memory=16.0,
        )

    def context(self, ratio: int, reach: int) -> int:
        """The neighbourhood's mean, then the window of coarse residuals and what they see."""
        return SIGHT + 2 * REACH + reach + (HALF + 1) * ratio

    # ------------------------------------------------------------ learning

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """Subspace, regression, innovation, kriging, doubt."""
        dice = torch.Generator().manual_seed(self.seed)
        like = pairs[0].fine
        model = model.to(like)
        noise = _noise(pairs, model)
        wiener = Wiener.learn([pair.fine for pair in pairs], noise.fine)
        pairs = [replace(pair, fine=wiener(pair.fine)) for pair in pairs]
        pixels = torch.cat([pair.samples(pair.coarse)[0] for pair in pairs], 1)
        subspace = Subspace.learn(
            [pixels.T], rank=min(self.rank, pixels.shape[1] // 4 + 1), noise=noise.weight
        )
        lessons = [_lesson(pair, subspace) for pair in pairs]
        tick(0.1, "regression")
        mixture, left = Mixture.learn(lessons, model, dice)
        tick(0.8, "what is left")
        raw = [mixture(pair.fine) for pair in pairs]
        update = Update.learn(pairs, raw, left, torch.cat([each.weight for each in lessons]), subspace, model)
        residuals = []
        for pair, scores in zip(pairs, raw, strict=True):
            scores += update(pair.fine, scores)
            residuals.append(_scores(pair.coarse, subspace) - model.lowpass(scores))
        own = (subspace.analysis.double().square().T @ noise.coarse).to(like)
        kriging = Kriging.learn(residuals, [pair.clear for pair in pairs], own, model)
        tick(0.9, "doubt")
        parts: dict[str, Any] = {
            "wiener": wiener,
            "subspace": subspace,
            "mixture": mixture,
            "update": update,
            "kriging": kriging,
        }
        found = {
            f"{part}.{n}": t.float() if t.is_floating_point() else t
            for part, thing in parts.items()
            for n, t in thing.tensors().items()
        }
        outside = [pair.coarse - _expand(_scores(pair.coarse, subspace), subspace) for pair in pairs]
        found["carry"] = _carry(outside, [pair.clear for pair in pairs])
        errors = left + update.at_coarse(pairs, left, subspace, model)
        found |= _doubt(
            pairs, raw, residuals, errors, noise.coarse, subspace, mixture, kriging, outside, model
        )
        return found

    # ------------------------------------------------------------ fusing

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """All terms, expanded."""
        scores, residual, subspace = self._terms(pair, model, state)
        return _expand(scores, subspace) + model.upsample(residual)

    def _terms(
        self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Subspace]:
        """(p, H, W) scores, the (L, h, w) residual that the subspace leaves out, and the subspace."""
        subspace = Subspace.of(_under(state, "subspace."))
        fine = Wiener.of(_under(state, "wiener."))(pair.fine)
        scores = Mixture.of(_under(state, "mixture."))(fine)
        scores += Update.of(_under(state, "update."))(fine, scores)
        seen = _scores(pair.coarse, subspace)
        scores += Kriging.of(_under(state, "kriging."))(seen - model.lowpass(scores), model.ratio)
        residual = (pair.coarse - _expand(seen, subspace)) * state["carry"][:, None, None]
        return scores, residual, subspace

    def doubt(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """From the left-out errors."""
        fine = Wiener.of(_under(state, "wiener."))(pair.fine)
        looks = Mixture.of(_under(state, "mixture.")).looks(fine)
        return Doubt.of(_under(state, "doubt."))(looks)

    def blank(self, state: Mapping[str, Tensor]) -> Tensor:
        """What an interpolated image lacks."""
        return state["blank"]


@dataclass(frozen=True, eq=False)
class Update:
    """What the multispectral image still tells of the scores: gain · (Y − R X)."""

    gain: Tensor
    """(p, l)."""

    seen: Tensor
    """(l, p) response of the basis."""

    offset: Tensor
    """(l,) response of the mean."""

    @classmethod
    def learn(
        cls,
        pairs: Sequence[Pair],
        scores: Sequence[Tensor],
        left: Tensor,
        weight: Tensor,
        subspace: Subspace,
        model: PairModel,
    ) -> Self:
        """From the left-out errors and the innovations that the fine pixels show."""
        response = model.response.to(left) * pairs[0].coverage.any(1, keepdim=True)
        seen = response @ subspace.basis.T.to(left)
        bare = cls(torch.zeros(0), seen.float(), (response @ subspace.mean.to(left)).float())
        met, count = torch.zeros(len(seen), len(seen)).to(left), 0
        for pair, each in zip(pairs, scores, strict=True):
            gap = bare.innovation(pair.fine, each)[:, pair.known].to(left)
            met, count = met + gap @ gap.T, count + gap.shape[1]
        errors = (left * weight.to(left)[:, None]).T @ left / len(left)
        told = seen @ errors @ seen.T
        off = torch.diag(model.misfit.to(left).square())
        ground = 1e-9 * (told + met / max(count, 1)).diagonal().mean().clamp_min(1e-20)
        inverse = torch.linalg.inv(told + met / max(count, 1) + off + ground * torch.eye(len(seen)).to(left))
        gain = errors @ seen.T @ inverse * pairs[0].coverage.any(1).to(left)
        return cls(gain.float(), bare.seen, bare.offset)

    def innovation(self, fine: Tensor, scores: Tensor) -> Tensor:
        """(l, H, W) Y − R X."""
        return fine - torch.einsum("lp,pyx->lyx", self.seen, scores) - self.offset[:, None, None]

    def __call__(self, fine: Tensor, scores: Tensor) -> Tensor:
        """(p, H, W) to add to the scores."""
        return torch.einsum("pl,lyx->pyx", self.gain, self.innovation(fine, scores))

    def at_coarse(self, pairs: Sequence[Pair], left: Tensor, subspace: Subspace, model: PairModel) -> Tensor:
        """(n, p) what it changes in the left-out errors."""
        low = torch.cat([model.lowpass(pair.fine)[:, pair.clear] for pair in pairs], 1).to(left)
        scores = torch.cat([_scores(pair.coarse, subspace)[:, pair.clear] for pair in pairs], 1).to(left)
        gap = low - self.seen.to(left) @ (scores - left.T) - self.offset.to(left)[:, None]
        return -(self.gain.to(left) @ gap).T

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {"gain": self.gain, "seen": self.seen, "offset": self.offset}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(tensors["gain"], tensors["seen"], tensors["offset"])


@dataclass(frozen=True, eq=False)
class _Noise:
    coarse: Tensor
    """(L,) variance in the hyperspectral image."""

    fine: Tensor
    """(l,) variance in the multispectral image."""

    weight: Tensor
    """(L,) standard deviation by which the subspace divides: alike for all bands where there is no noise."""


def _noise(pairs: Sequence[Pair], model: PairModel) -> _Noise:
    """What neighbours cannot tell is noise only as far as the misfit of k * Y and R Z confirms it."""
    pixels = torch.cat([pair.samples(pair.coarse)[0] for pair in pairs], 1)
    coarse = neighbour_noise(pixels.T, pairs[0].nm).square()
    fine = texture_noise([pair.fine for pair in pairs]).square()
    expected = model.response.to(coarse).square() @ coarse + model.kernel.to(coarse).square().sum() * fine
    live = pairs[0].coverage.any(1) & (expected > 0)
    met = model.misfit.to(coarse).square()
    share = float((met[live] / expected[live]).median().clamp(0.0, 1.0)) if bool(live.any()) else 1.0
    even = coarse.mean().clamp_min(1e-12)
    return _Noise(share * coarse, share * fine, (share * coarse + (1.0 - share) * even).sqrt())


def _scores(coarse: Tensor, subspace: Subspace) -> Tensor:
    return torch.einsum("bp,byx->pyx", subspace.analysis, coarse - subspace.mean[:, None, None])


def _expand(scores: Tensor, subspace: Subspace) -> Tensor:
    return torch.einsum("pb,pyx->byx", subspace.basis, scores) + subspace.mean[:, None, None]


def _lesson(pair: Pair, subspace: Subspace) -> Lesson:
    """Pixels weigh by the inverse of their brightness: between absolute and relative error."""
    (coarse,) = pair.samples(pair.coarse)
    size = torch.linalg.vector_norm(coarse, dim=0)
    weight = 1.0 / (size / size.mean().clamp_min(1e-12)).clamp_min(_DARK)
    scores = pair.samples(_scores(pair.coarse, subspace))[0]
    return Lesson(pair.fine, scores, weight / weight.mean(), pair.clear)


def _carry(outside: Sequence[Tensor], clear: Sequence[Tensor]) -> Tensor:
    """(L,) share of what the subspace leaves out that neighbouring coarse pixels have in common."""
    both = own = torch.zeros(len(outside[0])).to(outside[0])
    for image, mask in zip(outside, clear, strict=True):
        for axis in (1, 2):
            size = image.shape[axis] - 1
            first, second = image.narrow(axis, 0, size), image.narrow(axis, 1, size)
            pair = mask.narrow(axis - 1, 0, size) & mask.narrow(axis - 1, 1, size)
            both = both + (first * second * pair).sum((1, 2))
            own = own + (0.5 * (first.square() + second.square()) * pair).sum((1, 2))
    return (2.0 * both / own.clamp_min(1e-20)).clamp(0.0, 1.0)


def _doubt(
    pairs: Sequence[Pair],
    scores: Sequence[Tensor],
    residuals: Sequence[Tensor],
    errors: Tensor,
    noise: Tensor,
    subspace: Subspace,
    mixture: Mixture,
    kriging: Kriging,
    outside: Sequence[Tensor],
    model: PairModel,
) -> dict[str, Tensor]:
    """Tensors of the Doubt, and the standard deviation of a pixel without a fine image."""
    looks = [mixture.looks(pair.fine) for pair in pairs]
    fine = torch.cat([signs(each).flatten(1) for each in looks], 1)
    seen = torch.cat(
        [model.lowpass(signs(each))[:, pair.clear] for each, pair in zip(looks, pairs, strict=True)], 1
    )
    basis = subspace.basis.double()
    rest = torch.cat([image[:, pair.clear] for image, pair in zip(outside, pairs, strict=True)], 1).T
    bands = errors @ basis.to(errors) + rest.to(errors)
    size = errors.square().mean(0)[:, None] * basis.to(errors).square()
    # Fitted residuals are smaller than left-out ones: kriging brings back only what the fit has left to it.
    fitted = torch.cat([each[:, pair.clear] for each, pair in zip(residuals, pairs, strict=True)], 1)
    kept = (fitted.double().square().mean(1) / errors.square().mean(0).clamp_min(1e-300)).clamp_max(1.0)
    told = kriging.told.double().mean(1) * kept
    left = (1.0 - told).clamp_min(0.02) / kriging.shrunk.double().clamp_min(0.02)
    # The noise of the coarse image is in the left-out errors, and not in what is asked for.
    clean = (1.0 - noise.to(bands) / bands.square().mean(0).clamp_min(1e-300)).clamp_min(_CLEAN)
    blow = ((size * left.to(errors)[:, None]).sum(0) / size.sum(0).clamp_min(1e-300) * clean).sqrt()
    doubt = Doubt.learn(bands, seen, fine, blow)
    spread = [
        (_expand(each, subspace) - model.upsample(pair.coarse)).flatten(1)
        for each, pair in zip(scores, pairs, strict=True)
    ]
    blank = torch.cat(spread, 1).square().mean(1).sqrt() + doubt.level
    return {f"doubt.{name}": t for name, t in doubt.tensors().items()} | {"blank": blank}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
