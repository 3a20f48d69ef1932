"""Exam: what coarse pixels advise against what fine ones would, asked of the multispectral bands themselves.

::

    band by band:  hide y_b ─► tell it from the other bands, learned on k * y ─► krige what is left over
                   ─► compare with the known y_b

A regression is learned on coarse pixels and used on fine ones. The shrinkage that left-out coarse pixels call
best is often too weak there, and errors are larger: the point spread function hides part of them. Bands that
are known on both scales say which shrinkage fine pixels ask for at least, and how errors grow, before
anything is asked of the hyperspectral ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.learning.doubt import deviation
from stsfusion.learning.experts import Experts, Looks
from stsfusion.learning.kriging import Kriging
from stsfusion.learning.leaveout import blocks_of, path
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Exam", "examine"]

_PENALTIES = tuple(10.0 ** (-3.0 + 0.5 * k) for k in range(9))
"""Candidates in the exam."""

_EXPERTS = 8
"""Of the one member that sits it."""

_ENOUGH = 3
"""Bands of which one can be hidden."""

_SAMPLE = 20_000
"""Fine pixels of a tile that are compared."""

_EXACT = 1e-10
"""Share of a band's mean square under which what others do not tell of it is rounding."""


@dataclass(frozen=True, eq=False)
class Exam:
    """What the bands said."""

    least: float
    """Penalty under which the fine pixels of the bands were told worse, on the whole; infinite: not known."""

    growth: Tensor | None
    """(l',) of the bands that do not repeat others: variance of errors at fine pixels over that of
    left-out coarse ones, as nine of ten tell it; None: not known."""


@dataclass(frozen=True, eq=False)
class _Sheet:
    """How one band was told, under each of q penalties."""

    left: Tensor
    """(n, q) errors of left-out coarse pixels."""

    fitted: Tensor
    """(n, q) residuals of the coarse pixels."""

    fine: Tensor
    """(m, q) errors of fine pixels, before kriging."""


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
    own = _own(images)
    if len(own) < _ENOUGH:
        return Exam(math.inf, None)
    images = [image[own] for image in images]
    clear = [mask & _lit(model.lowpass(image)) for image, mask in zip(images, clear, strict=True)]
    if not any(bool(mask.any()) for mask in clear):
        return Exam(math.inf, None)
    blocks = blocks_of(clear, side)
    places = [_drawn(image, dice) for image in images]
    sheets = [_sheet(images, clear, places, model, blocks, band) for band in range(len(own))]
    marks = torch.stack([sheet.fine.square().mean(0).clamp_min(1e-30).log() for sheet in sheets]).mean(0)
    best = int(marks.argmin())
    return Exam(_PENALTIES[best], _grown(sheets, best, clear, places, model))


def _lit(image: Tensor) -> Tensor:
    """(y, x) bool: pixels that are not empty, which any regression tells without error."""
    return (image != 0).any(0)


def _own(images: Sequence[Tensor]) -> list[int]:
    """Bands that those before them, and a constant, do not tell but for rounding."""
    pixels = torch.cat([image.flatten(1) for image in images], 1)
    rows = torch.cat([torch.ones_like(pixels[:1]), pixels])
    gram = (rows.double() @ rows.double().T / rows.shape[1]).cpu()
    own = [0]
    for band in range(1, len(gram)):
        cross = gram[own, band]
        left = gram[band, band] - cross @ torch.linalg.pinv(gram[own][:, own], hermitian=True) @ cross
        if float(left) > _EXACT * float(gram[band, band]):
            own.append(band)
    return [band - 1 for band in own[1:]]


def _drawn(image: Tensor, dice: torch.Generator) -> Tensor:
    """Places of the pixels of one tile that are compared."""
    places = _lit(image).flatten().nonzero()[:, 0]
    return places[torch.randperm(len(places), generator=dice)[:_SAMPLE].to(places.device)]


def _sheet(
    images: Sequence[Tensor],
    clear: Sequence[Tensor],
    places: Sequence[Tensor],
    model: PairModel,
    blocks: Tensor,
    band: int,
) -> _Sheet:
    """One band, told from the others."""
    rest = [i for i in range(len(images[0])) if i != band]
    pixels = torch.cat([image.flatten(1)[:, at].T for image, at in zip(images, places, strict=True)])
    looks = Looks.learn(pixels[:, rest])
    seen = [looks(image[rest]) for image in images]
    own = looks.white.shape[1]
    sample = torch.cat([each.flatten(1)[:, at].T for each, at in zip(seen, places, strict=True)])
    every = torch.arange(2 * own, device=sample.device)
    experts = Experts.learn(sample, every, every, _EXPERTS, torch.Generator().manual_seed(0))

    def coarse(parts: Sequence[Tensor]) -> Tensor:
        low = [model.lowpass(part)[:, mask] for part, mask in zip(parts, clear, strict=True)]
        return torch.cat(low, 1).T.double()

    told = coarse([image[band : band + 1] for image in images])
    plain = coarse([each[:own] for each in seen])
    plain = torch.cat([torch.ones_like(plain[:, :1]), plain], 1)
    features = coarse([experts.image(each) for each in seen])
    fits = path(features, plain, told, torch.ones_like(told[:, 0]), blocks, _PENALTIES)
    slope, straight, left = (
        torch.cat(parts, 1) for parts in zip(*((f.slope, f.plain, f.left) for f in fits), strict=True)
    )
    fine = pixels[:, band : band + 1] - experts.features(sample) @ slope.to(sample)
    fine = fine - sample[:, :own] @ straight[1:].to(sample) - straight[0].to(sample)
    return _Sheet(left, told - features @ slope - plain @ straight, fine.double())


def _grown(
    sheets: Sequence[_Sheet], choice: int, clear: Sequence[Tensor], places: Sequence[Tensor], model: PairModel
) -> Tensor:
    """(l,) of the fine pixels' errors, what is left over brought back."""
    fitted = torch.stack([sheet.fitted[:, choice] for sheet in sheets])
    residuals, before = [], 0
    for mask in clear:
        image = fitted.new_zeros(len(fitted), *mask.shape)
        image[:, mask] = fitted[:, before : before + int(mask.sum())]
        residuals.append(image)
        before += int(mask.sum())
    kriging = Kriging.learn(residuals, clear, torch.zeros(len(fitted)), model)
    back = [
        kriging(image, model.ratio).flatten(1)[:, at] for image, at in zip(residuals, places, strict=True)
    ]
    fine = torch.stack([sheet.fine[:, choice] for sheet in sheets]) - torch.cat(back, 1)
    left = torch.stack([sheet.left[:, choice] for sheet in sheets])
    return (deviation(fine.T) / deviation(left.T).clamp_min(1e-150)).square()
