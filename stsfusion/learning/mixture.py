"""Mixture: stacked regressions of hyperspectral scores on a multispectral image, learned on coarse pixels.

::

    fine     y ─► looks u ─► φ_m(u) ────────────────► Σ_m weight_m · (slope_m · φ_m + plain_m · [1, u])
    coarse         k * φ_m ─ attempts, blocks left out ─► slope_m, plain_m, left-out errors ─┐
                   hidden bands ─ exam ──────────────────────► errors at fine pixels ────────┴─► weight_m

What coarse pixels advise, fine ones need not: under a wide point spread function they hardly tell a pixel
from its neighbourhood. Weights are those that do well by both: by the scores at coarse pixels whose block
was left out, and at fine ones by multispectral bands, hidden in turn, and by noise, which is not to be
followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.attempts import Attempts, Ground, evened
from stsfusion.learning.exam import Exam, examine
from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.kept import joined, under
from stsfusion.learning.leaveout import blocks_of, stack
from stsfusion.learning.members import kinds_for, placed
from stsfusion.learning.sampling import SAMPLE, drawn
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Lesson", "Mixture"]

_BLOCK = 3
"""Coarse pixels along one side of the blocks that are left out together, where there are nine blocks."""

_ENOUGH = 3
"""Coarse pixels to every column of the linear map from which left-out errors tell something."""


_CHANCES = 4
"""Images of nothing but noise by which it is seen how far attempts follow it."""


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
        cls, lessons: Sequence[Lesson], noise: Tensor, model: PairModel, dice: torch.Generator, most: int = 32
    ) -> tuple[Self, Tensor, Tensor, Exam | None]:
        """The mixture, (n, p) errors of coarse pixels whose block is left out, their own part, and the exam.

        The own part is what neighbours do not have in common: all that the returned residual cannot bring.

        Parameters
        ----------
        lessons
            The tiles.
        noise
            (p,) variance of the noise in the scores.
        model
            The sensors.
        dice
            For sampled pixels and clusters.
        most
            Experts of the largest member.
        """
        clear = [lesson.clear for lesson in lessons]
        images = [lesson.fine for lesson in lessons]
        side = max(1, min(_BLOCK, math.isqrt(sum(int(mask.sum()) for mask in clear)) // 3))
        kinds = kinds_for(most, len(images[0]), sum(int(mask.sum()) for mask in clear))
        members = placed(images, kinds, dice)
        exam = examine(images, clear, model, side, dice, members)
        outputs = torch.cat([lesson.scores.T for lesson in lessons]).double()
        weight = torch.cat([lesson.weight for lesson in lessons]).double()
        # Experts that no exam speaks for follow coarse pixels into detail that is not there.
        members = [] if exam is None else members
        every = [torch.ones_like(image[0], dtype=torch.bool) for image in images]
        ground = Ground(images, clear, model, blocks_of(clear, side), drawn(every, SAMPLE, dice))
        chance = torch.randn(len(outputs), _CHANCES, generator=dice, dtype=torch.float64).to(outputs)
        attempts = Attempts.learn(
            ground, torch.cat([outputs, chance], 1), weight, dice, members, last=_CHANCES
        )
        followed = _followed(attempts.told, ground.pixels)
        attempts = attempts.first(outputs.shape[1])
        judged = [fit.judged for fit in attempts.fits]
        if exam is None:
            weights = stack(judged, weight)
        else:
            powers = [(each.square() * weight[:, None]).mean(0) for each in judged]
            size = torch.stack(powers).median(0).values
            beyond = (size - noise.to(size)).clamp_min(0.0)
            fine = beyond[:, None, None] * exam.gram.to(size) + noise.to(size)[:, None, None] * followed
            weights = stack(judged, weight, fine, exam.share)
        plain, slopes = attempts.slopes(weights)
        left = own = torch.zeros_like(outputs)
        for fit, part in zip(attempts.fits, weights, strict=True):
            left, own = left + fit.left * part, own + fit.judged * part
        merged = tuple(slope.float() for slope in slopes)
        mixture = cls(attempts.looks, plain[0].float(), plain[1:].float(), attempts.experts, merged)
        return mixture, left, own, exam

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


def _followed(told: Tensor, pixels: Tensor) -> Tensor:
    """(m, m) weighted mean products of what m attempts make of (l, n) pixels, of outputs that are noise."""
    flat = (told * evened(pixels)).flatten(1) @ told.flatten(1).T
    return flat.double() / told[0].numel()
