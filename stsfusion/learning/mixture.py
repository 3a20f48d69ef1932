"""Mixture: stacked regressions of hyperspectral scores on a multispectral image, learned on coarse pixels.

::

    fine     y ─► looks u ─► φ_m(u) ────────────────► Σ_m weight_m · (slope_m · φ_m + plain_m · [1, u])
    coarse         k * φ_m ─ regression, blocks left out ─► slope_m, plain_m, left-out errors ─► weight_m

Features are made on the fine grid and averaged by the point spread function, so what is learned on coarse
pixels holds on fine ones: there is no gap of scale. Members: one linear map, and experts of several numbers,
gated by the pixel, by its neighbourhood or by both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.exam import Exam, examine
from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.kept import joined, under
from stsfusion.learning.leaveout import blocks_of, ridge, stack
from stsfusion.learning.likeness import Likeness
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Lesson", "Mixture"]

_MEMBERS = (
    ("own", "own", 8),
    ("own", "own", 32),
    ("both", "both", 4),
    ("both", "both", 8),
    ("both", "both", 16),
    ("around", "own", 8),
    ("around", "own", 16),
    ("around", "own", 32),
)
"""What the gates go by, what the experts map, and their number."""

_LINEAR = tuple(10.0 ** (-9 + 0.5 * k) for k in range(19))
"""Candidates for the shrinkage of the linear map."""

_FREE = tuple(10.0 ** (-3.0 + 0.5 * k) for k in range(10))
"""Candidates for the shrinkage of the experts towards the linear map."""

_BLOCK = 3
"""Coarse pixels along one side of the blocks that are left out together, where there are nine blocks."""

_ENOUGH = 3
"""Coarse pixels to every column of the linear map from which left-out errors tell something."""

_SAMPLE = 20_000
"""Fine pixels that centres and whitening are learned from."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """One tile to learn from."""

    fine: Tensor
    """(l, H, W) multispectral reflectance."""

    scores: Tensor
    """(p, n) of the clear coarse pixels."""

    weight: Tensor
    """(n,) of the clear coarse pixels."""

    clear: Tensor
    """(h, w) bool."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """All members, their weights merged into their slopes."""

    looks: Looks
    """How pixels are looked at."""

    offset: Tensor
    """(p,)."""

    linear: Tensor
    """(k, p) of the whitened bands: the linear maps of all members together."""

    experts: tuple[Experts, ...]
    """How the features are made."""

    slopes: tuple[Tensor, ...]
    """(D_m, p) of each member's features."""

    @classmethod
    def learn(
        cls, lessons: Sequence[Lesson], model: PairModel, dice: torch.Generator, most: int = 32
    ) -> tuple[Self, Tensor, Tensor, Exam]:
        """The mixture, (n, p) errors of coarse pixels whose block is left out, their own part, and the exam.

        The own part is what neighbours do not have in common: all that the returned residual cannot bring.

        Members of more than `most` experts are left out.
        """
        clear = [lesson.clear for lesson in lessons]
        side = max(1, min(_BLOCK, math.isqrt(sum(int(mask.sum()) for mask in clear)) // 3))
        exam = examine([lesson.fine for lesson in lessons], clear, model, side, dice)
        looks = Looks.learn(_sampled([lesson.fine for lesson in lessons], dice))
        images = [looks(lesson.fine) for lesson in lessons]
        bands = looks.white.shape[1]
        outputs = torch.cat([lesson.scores.T for lesson in lessons]).double()
        weight = torch.cat([lesson.weight for lesson in lessons]).double()

        def coarse(features: Sequence[Tensor]) -> Tensor:
            low = [model.lowpass(image)[:, each.clear] for image, each in zip(features, lessons, strict=True)]
            return torch.cat(low, 1).T.double()

        blocks = blocks_of(clear, side)
        own = coarse([image[:bands] for image in images])
        one = torch.ones_like(weight)[:, None]
        scale = own.square().mean(0).sqrt().clamp_min(1e-9)
        likeness = Likeness.of(clear)
        straight = ridge(own / scale, one, outputs, weight, blocks, _LINEAR)
        shares = likeness.shares(straight.left, weight)
        straight = ridge(own / scale, one, outputs, weight, blocks, _LINEAR, likeness, shares)
        line = torch.cat([straight.plain, straight.slope / scale[:, None]])
        fits = [replace(straight, slope=straight.slope[:0], plain=line)]
        sample = _sampled(images, dice)
        looked = {"own": range(bands), "around": range(bands, 2 * bands), "both": range(2 * bands)}
        experts = []
        free = [penalty for penalty in _FREE if penalty >= exam.least]
        # Experts that no exam speaks for follow coarse pixels into detail that is not there.
        members = [member for member in _MEMBERS if member[2] <= most and math.isfinite(exam.least)]
        for gates, inputs, count in members:
            by, of = (torch.tensor(list(looked[name]), device=sample.device) for name in (gates, inputs))
            experts.append(Experts.learn(sample, by, of, count, dice))
            features = coarse([experts[-1].image(image) for image in images])
            plain = torch.cat([one, own], 1)
            fits.append(ridge(features, plain, outputs, weight, blocks, free, likeness, shares))
        weights = stack([fit.judged for fit in fits], weight)
        plain = sum(
            (fit.plain * share for fit, share in zip(fits, weights, strict=True)), torch.zeros(()).to(own)
        )
        left, own_part = (
            sum((of(fit) * share for fit, share in zip(fits, weights, strict=True)), torch.zeros(()).to(own))
            for of in (attrgetter("left"), attrgetter("judged"))
        )
        slopes = tuple((fit.slope * share).float() for fit, share in zip(fits[1:], weights[1:], strict=True))
        return cls(looks, plain[0].float(), plain[1:].float(), tuple(experts), slopes), left, own_part, exam

    def hangs(self, pixels: int) -> bool:
        """Whether so many coarse pixels are too few to leave any out: fits go through those that stay."""
        return pixels < _ENOUGH * (len(self.linear) + 1)

    def __call__(self, fine: Tensor) -> Tensor:
        """(l, H, W) reflectance to (p, H, W) scores."""
        image = self.looks(fine)
        own = image[: len(self.linear)]
        scores = torch.einsum("lp,lyx->pyx", self.linear, own) + self.offset[:, None, None]
        for experts, slope in zip(self.experts, self.slopes, strict=True):
            scores += experts.apply(image, slope)
        return scores

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        found = {"offset": self.offset, "linear": self.linear} | joined({"looks": self.looks})
        for m, (experts, slope) in enumerate(zip(self.experts, self.slopes, strict=True)):
            found |= {f"{m}.slope": slope} | joined({str(m): experts})
        return found

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        members = range(sum(name.endswith(".slope") for name in tensors))
        experts = tuple(Experts.of(under(tensors, str(m))) for m in members)
        slopes = tuple(tensors[f"{m}.slope"] for m in members)
        return cls(Looks.of(under(tensors, "looks")), tensors["offset"], tensors["linear"], experts, slopes)


def _sampled(images: Sequence[Tensor], dice: torch.Generator) -> Tensor:
    """(n, c) pixels drawn from (c, H, W) images, the same number from each."""
    share = max(1, _SAMPLE // len(images))
    rows = []
    for image in images:
        flat = image.flatten(1)
        rows.append(flat[:, torch.randperm(flat.shape[1], generator=dice)[:share].to(flat.device)].T)
    return torch.cat(rows)
