"""mixreg: blind regression of a hyperspectral subspace on a multispectral image by stacked experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.attempts import evened
from stsfusion.learning.doubt import Doubt
from stsfusion.learning.experts import REACH
from stsfusion.learning.kept import joined, under
from stsfusion.learning.kriging import HALF, Field
from stsfusion.learning.leftover import LeftOver
from stsfusion.learning.mixture import Lesson, Mixture
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairnoise import PairNoise, gathered
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.returned import Returned
from stsfusion.learning.signal import sampled_noise
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.update import Update
from stsfusion.learning.wiener import SIGHT, Wiener
from stsfusion.operators.pairmodel import PairModel

__all__ = ["MixReg"]

_ROUNDING = 1e-6
"""Least standard deviation, in sizes of a band."""

_ROUNDED = 0.01
"""Of the mean size of bands: what is reckoned from all of them is rounded as they are."""


@dataclass
class MixReg(PairMethod):
    """X = mean + Eᵀ (f(Y) + G (Y − R X_f) + back(Z − k * X_f)) + (what E leaves out of Z)↑.

    - E: principal components of Z, weighted by its noise as far as the sensor model's misfit confirms it.
    - f: regressions of the scores on softly gated experts of Y, averaged by the point spread function, under
      several shrinkages to the linear map, and stacked: by coarse pixels whose block was left out, by
      multispectral bands, which are known on both scales and are hidden in turn, and by how far fits follow
      noise.
    - G: what Y still tells, as far as the sensor model holds at fine pixels.
    - back: the mean of kriging with a correlation length and white share of each score's own, seen through
      the point spread function, and of kriging by what Y looks like, which knows edges.

    Point spread function, response, displacement, noise and weights come from the pair alone.
    Standard deviations come from the left-out errors, their growth with detail and rarity, and their growth
    from coarse to fine pixels, as residuals and hidden bands tell of it.

    Source: stsfusion; the parts as their files cite.
    """

    rank: int = field(default=64, metadata={"ge": 1, "le": 256})
    """Most components, fewer than the coarse pixels; what is left out is carried over from Z."""

    experts: int = field(default=32, metadata={"ge": 0, "le": 32})
    """Most experts of one member; members of 2 to 32 are stacked, 0 leaves the linear map alone.

    So do one or two multispectral bands, of which none can be hidden to see whether experts hold.
    """

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
            memory=10.0,
        )

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """One small member."""
        return cls(**{"experts": 4, "rank": 8, **settings})

    def context(self, ratio: int, reach: int) -> int:
        """The filter, the neighbourhood's mean (twice for doubt), the coarse window and what it sees."""
        return SIGHT + 2 * REACH + reach + (HALF + 1) * ratio

    # ------------------------------------------------------------ learning

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """Noise, subspace, regression, update, kriging, doubt."""
        model = model.to(pairs[0].fine)
        noise = PairNoise.of(pairs, model)
        wiener = Wiener.learn([pair.fine for pair in pairs], noise.fine)
        pairs = [replace(pair, fine=wiener(pair.fine)) for pair in pairs]
        pixels = torch.cat([pair.samples(pair.coarse)[0] for pair in pairs], 1)
        subspace = Subspace.learn([pixels.T], rank=self.rank, noise=noise.weight)
        lessons = [_lesson(pair, subspace) for pair in pairs]
        tick(0.1, "regression")
        dice = torch.Generator().manual_seed(self.seed)
        seen, low = _both(pairs, subspace, model)
        sampled = _noise_of(seen, subspace, noise)
        mixture, left, own, exam = Mixture.learn(lessons, sampled, model, dice, self.experts)
        tick(0.8, "what is left")
        images = [mixture(pair.fine) for pair in pairs]
        weight = torch.cat([lesson.weight for lesson in lessons])
        update = Update.learn(pairs, images, own, weight, subspace, model)
        images = [image + update(pair.fine, image) for image, pair in zip(images, pairs, strict=True)]
        residuals = _left_over(pairs, images, subspace, model)
        clear = [pair.clear for pair in pairs]
        returned = Returned.learn(residuals, clear, sampled, Field.tried(model))
        outside = [pair.coarse - _expand(_scores(pair.coarse, subspace), subspace) for pair in pairs]
        tick(0.9, "doubt")
        errors = update.of_errors(left, seen, low)
        over = LeftOver(pairs, model, subspace, noise, sampled, errors, residuals, outside)
        doubt = over.doubt(returned.kriging, exam, mixture.looks)
        lacks = _lacking(pairs, images, subspace, model)
        least = torch.maximum(_rounding(pairs).to(lacks), lacks * mixture.hangs(len(errors)))
        doubt = replace(doubt, level=torch.maximum(doubt.level, least))
        blank = lacks + doubt.level
        parts = {"wiener": wiener, "subspace": subspace, "mixture": mixture, "update": update}
        parts |= {"returned": returned, "doubt": doubt}
        return joined(parts) | {"carry": over.carry.float(), "blank": blank}

    # ------------------------------------------------------------ fusing

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """All terms, expanded."""
        subspace = Subspace.of(under(state, "subspace"))
        fine = Wiener.of(under(state, "wiener"))(pair.fine)
        mixture = Mixture.of(under(state, "mixture"))
        scores = mixture(fine)
        scores += Update.of(under(state, "update"))(fine, scores)
        seen = _scores(pair.coarse, subspace)
        returned = Returned.of(under(state, "returned"))
        scores += returned(seen - model.lowpass(scores), pair.clear, mixture.looks(fine), model)
        rest = (pair.coarse - _expand(seen, subspace)) * state["carry"][:, None, None]
        return _expand(scores, subspace).add_(model.upsample(rest))

    def doubt(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """From the left-out errors."""
        fine = Wiener.of(under(state, "wiener"))(pair.fine)
        looks = Mixture.of(under(state, "mixture")).looks(fine)
        return Doubt.of(under(state, "doubt"))(looks)

    def blank(self, state: Mapping[str, Tensor]) -> Tensor:
        """What an interpolated image lacks."""
        return state["blank"]


def _scores(coarse: Tensor, subspace: Subspace) -> Tensor:
    return torch.einsum("bp,byx->pyx", subspace.analysis, coarse - subspace.mean[:, None, None])


def _expand(scores: Tensor, subspace: Subspace) -> Tensor:
    return torch.einsum("pb,pyx->byx", subspace.basis, scores).add_(subspace.mean[:, None, None])


def _lesson(pair: Pair, subspace: Subspace) -> Lesson:
    (coarse,) = pair.samples(pair.coarse)
    scores = pair.samples(_scores(pair.coarse, subspace))[0]
    return Lesson(pair.fine, scores, evened(coarse), pair.clear)


def _left_over(
    pairs: Sequence[Pair], images: Sequence[Tensor], subspace: Subspace, model: PairModel
) -> list[Tensor]:
    """(p, h, w) of every tile: scores of Z less what the coarse sensor makes of (p, H, W) ones."""
    return [
        _scores(pair.coarse, subspace) - model.lowpass(image)
        for image, pair in zip(images, pairs, strict=True)
    ]


def _noise_of(seen: Tensor, subspace: Subspace, noise: PairNoise) -> Tensor:
    """(p,) variance of the noise in (p, n) scores, double precision."""
    fresh = subspace.analysis.to(noise.coarse).square().T @ noise.coarse
    return sampled_noise(seen.to(fresh).square().mean(1), fresh, len(subspace.mean) / seen.shape[1])


def _rounding(pairs: Sequence[Pair]) -> Tensor:
    """(L,) standard deviation of the reflectance that numbers alone leave."""
    bright = gathered([pair.coarse for pair in pairs], pairs).double().square().mean(1).sqrt()
    return _ROUNDING * torch.maximum(bright, _ROUNDED * bright.mean())


def _both(pairs: Sequence[Pair], subspace: Subspace, model: PairModel) -> tuple[Tensor, Tensor]:
    """Scores (p, n) of the clear coarse pixels, and the fine image (l, n) under them."""
    seen = gathered([_scores(pair.coarse, subspace) for pair in pairs], pairs)
    return seen, gathered([model.lowpass(pair.fine) for pair in pairs], pairs)


def _lacking(pairs: Sequence[Pair], images: Sequence[Tensor], subspace: Subspace, model: PairModel) -> Tensor:
    """(L,) root mean square of what the fine image adds to the interpolated coarse one."""
    total, count = torch.zeros_like(subspace.mean), 0
    for pair, image in zip(pairs, images, strict=True):
        gap = _expand(image, subspace) - model.upsample(pair.coarse)
        total, count = total + gap.square().sum((1, 2)), count + gap[0].numel()
    return (total / max(count, 1)).sqrt()
