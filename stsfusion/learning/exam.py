"""Exam: what coarse pixels advise against what fine ones would, asked of the multispectral bands themselves.

::

    band by band:  hide y_b ─► tell it from the other bands, learned on k * y ─► compare with the known y_b

A regression is learned on coarse pixels and used on fine ones. The shrinkage that left-out coarse pixels call
best is often too weak there, and errors are larger: the point spread function hides part of them. Bands that
are known on both scales say which shrinkage fine pixels ask for at least, and how errors grow, before
anything is asked of the hyperspectral ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.leaveout import blocks_of, ridge
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Exam", "examine"]

_PENALTIES = tuple(10.0 ** (-3.0 + 0.5 * k) for k in range(9))
"""Candidates in the exam."""

_EXPERTS = 8
"""Of the one member that sits it."""

_UNASKED = 0.1
"""Least penalty when there are not bands enough to hide one: what exams commonly say."""

_SAMPLE = 20_000
"""Fine pixels of a tile that are compared."""


@dataclass(frozen=True)
class Exam:
    """What the bands said."""

    least: float
    """Penalty under which the fine pixels of the bands were told worse, on the whole."""

    growth: float | None
    """Mean squared error at fine pixels over that at left-out coarse ones; None: not known."""


def examine(
    images: Sequence[Tensor], clear: Sequence[Tensor], model: PairModel, side: int, dice: torch.Generator
) -> Exam:
    """Hide every band in turn.

    Parameters
    ----------
    images, clear
        Tiles (l, H, W) and the (h, w) masks of the coarse pixels to learn from.
    model
        The sensors.
    side
        Of the blocks that are left out.
    dice
        For the pixels that are compared.
    """
    bands = len(images[0])
    if bands < 3:
        return Exam(_UNASKED, None)
    blocks = blocks_of(clear, side)
    places = [torch.randperm(image[0].numel(), generator=dice)[:_SAMPLE] for image in images]
    marks = [_mark(images, clear, places, model, blocks, band) for band in range(bands)]
    left = torch.stack([mark[0] for mark in marks]).mean(0)
    fine = torch.stack([mark[1] for mark in marks]).mean(0)
    best, truly = int(left.argmin()), int(fine.argmin())
    growth = torch.stack([mark[1][truly] - mark[0][best] for mark in marks]).median()
    return Exam(_PENALTIES[truly], float(growth.exp()))


def _mark(
    images: Sequence[Tensor],
    clear: Sequence[Tensor],
    places: Sequence[Tensor],
    model: PairModel,
    blocks: Tensor,
    band: int,
) -> tuple[Tensor, Tensor]:
    """Logarithms of the (q,) left-out coarse and fine squared errors of one band, by penalty."""
    rest = [i for i in range(len(images[0])) if i != band]
    pixels = [image.flatten(1)[:, at.to(image.device)] for image, at in zip(images, places, strict=True)]
    looks = Looks.learn(torch.cat([each[rest].T for each in pixels]))
    seen = [looks(image[rest]) for image in images]
    own = looks.white.shape[1]
    sample = torch.cat([each.flatten(1).T[at.to(each.device)] for each, at in zip(seen, places, strict=True)])
    every = torch.arange(2 * own, device=sample.device)
    experts = Experts.learn(sample, every, every, _EXPERTS, torch.Generator().manual_seed(0))

    def coarse(parts: Sequence[Tensor]) -> Tensor:
        low = [model.lowpass(part)[:, mask] for part, mask in zip(parts, clear, strict=True)]
        return torch.cat(low, 1).T.double()

    told = coarse([image[band : band + 1] for image in images])
    plain = coarse([each[:own] for each in seen])
    plain = torch.cat([torch.ones_like(plain[:, :1]), plain], 1)
    features = coarse([experts.image(each) for each in seen])
    asked = torch.cat([each[band] for each in pixels])[:, None].double()
    free, straight = experts.features(sample).double(), sample[:, :own].double()
    even = torch.ones_like(told[:, 0])
    marks = []
    for penalty in _PENALTIES:
        fit = ridge(features, plain, told, even, blocks, [penalty])
        gap = asked - free @ fit.slope - straight @ fit.plain[1:] - fit.plain[0]
        marks.append([fit.left.square().mean(), gap.square().mean()])
    both = torch.tensor(marks, dtype=torch.float64).clamp_min(1e-30).log()
    return both[:, 0], both[:, 1]
