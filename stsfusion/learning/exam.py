"""Exam: how attempts do at fine pixels, asked of the multispectral bands themselves.

::

    band by band:  hide y_b ─► tell it from the other bands, attempts learned on k * y
                   ─► krige what each leaves over ─► compare with the known y_b

A regression is learned on coarse pixels and used on fine ones. What does best at left-out coarse pixels often
follows them too closely for fine ones, and errors are larger there: the point spread function hides part of
them. Bands that are known on both scales say which attempts fine pixels ask for, and how errors grow, before
anything is asked of the hyperspectral ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.learning.attempts import Attempts, Member, evened
from stsfusion.learning.doubt import Doubt, deviation, signs
from stsfusion.learning.kriging import Field, Kriging
from stsfusion.learning.leaveout import blocks_of, stack
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Exam", "examine"]

_ENOUGH = 3
"""Bands of which one can be hidden."""

_SAMPLE = 20_000
"""Fine pixels that are compared, the same number from each tile."""

_SKETCH = 6_000
"""Fine pixels that the attempts of an exam are learned from."""

_HIDDEN = 4
"""Bands that are hidden at most, spread over the others."""

_EXACT = 1e-10
"""Share of a band's mean square under which what others do not tell of it is rounding."""


@dataclass(frozen=True, eq=False)
class Exam:
    """What the bands said."""

    gram: Tensor
    """(m, m) mean products of the attempts' errors at fine pixels, over the typical attempt's mean square at
    left-out coarse ones, all rid of what comes back."""

    share: float
    """Of the say that fine pixels have beside coarse ones: every pixel has one."""

    strayed: Tensor
    """(l',) of the hidden bands: variance of errors at fine pixels over the one that left-out coarse pixels,
    kriging and `Doubt` foretell, as nine of ten tell it."""


@dataclass(frozen=True, eq=False)
class _Sheet:
    """How m attempts told one band."""

    left: Tensor
    """(n, m) errors of left-out coarse pixels."""

    judged: Tensor
    """(n, m) the same, rid of what neighbours have in common."""

    over: Sequence[Tensor]
    """(m, h, w) of every tile: what is left over at coarse pixels."""

    bare: Tensor
    """(s, m) errors of fine pixels."""

    fine: Tensor
    """(s, m) the same, what is left over brought back."""

    weight: Tensor
    """(s,) of these pixels."""

    looks: Sequence[Tensor]
    """(2 k, H, W) of every tile: what the other bands look like."""

    @property
    def gram(self) -> Tensor:
        """See `Exam`."""
        level = self.judged.square().mean(0).median().clamp_min(1e-300)
        return (self.fine.T * self.weight) @ self.fine / len(self.fine) / level


def examine(
    images: Sequence[Tensor],
    clear: Sequence[Tensor],
    model: PairModel,
    side: int,
    dice: torch.Generator,
    members: Sequence[Member],
) -> Exam | None:
    """Hide some bands, one after the other; None where there are too few to hide one.

    Parameters
    ----------
    images, clear
        Tiles (l, H, W) and the (h, w) masks of the coarse pixels to learn from.
    model
        The sensors.
    side
        Of the blocks that are left out.
    dice
        For the pixels that are compared, and for the attempts.
    members
        That are tried beside the linear map.
    """
    own = _own(images)
    if len(own) < _ENOUGH:
        return None
    images = [image[own] for image in images]
    clear = [mask & _lit(model.lowpass(image)) for image, mask in zip(images, clear, strict=True)]
    if not any(bool(mask.any()) for mask in clear):
        return None
    places = [_drawn(image, _SAMPLE // len(images), dice) for image in images]
    pixels = torch.cat([image.flatten(1)[:, at] for image, at in zip(images, places, strict=True)], 1)
    tiles = _Tiles(images, clear, places, evened(pixels).double(), blocks_of(clear, side))
    fields = Field.tried(model)
    hidden = torch.linspace(0, len(own) - 1, min(len(own), _HIDDEN)).round().int().tolist()
    sheets = [_sheet(tiles, model, fields, band, dice, members) for band in hidden]
    grams = torch.stack([sheet.gram for sheet in sheets])
    share = model.ratio**2 / (1.0 + model.ratio**2)
    strayed = []
    for sheet, gram in zip(sheets, grams, strict=True):
        # A band's own errors at fine pixels have no say in its weights, as those of scores have none.
        others = (grams.sum(0) - gram) / (len(grams) - 1)
        judged = list(sheet.judged.T[:, :, None])
        weights = stack(judged, torch.ones_like(judged[0][:, 0]), others[None], share)
        strayed.append(_strayed(sheet, weights, tiles, model, fields))
    return Exam(grams.mean(0), share, torch.cat(strayed))


@dataclass(frozen=True, eq=False)
class _Tiles:
    """What is learned from and compared with."""

    images: Sequence[Tensor]
    """(l, H, W)."""

    clear: Sequence[Tensor]
    """(h, w) bool: coarse pixels to learn from."""

    places: Sequence[Tensor]
    """Of the fine pixels that are compared."""

    weight: Tensor
    """(s,) of these, of mean one."""

    blocks: Tensor
    """See `blocks_of`."""


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


def _drawn(image: Tensor, count: int, dice: torch.Generator) -> Tensor:
    """Places of the pixels of one tile that are compared."""
    places = _lit(image).flatten().nonzero()[:, 0]
    return places[torch.randperm(len(places), generator=dice)[: max(count, 1)].to(places.device)]


def _sheet(
    tiles: _Tiles,
    model: PairModel,
    fields: Sequence[Field],
    band: int,
    dice: torch.Generator,
    members: Sequence[Member],
) -> _Sheet:
    """One band, told from the others."""
    rest = [i for i in range(len(tiles.images[0])) if i != band]
    entries = [image[rest] for image in tiles.images]
    hidden = [image[band : band + 1] for image in tiles.images]
    low = [model.lowpass(image)[:, mask] for image, mask in zip(hidden, tiles.clear, strict=True)]
    outputs = torch.cat(low, 1).T.double()
    weight = torch.ones_like(outputs[:, 0])
    attempts = Attempts.learn(
        entries, outputs, weight, tiles.clear, model, tiles.blocks, dice, members, sample=_SKETCH, tell=True
    )
    gaps = [image - told for image, told in zip(hidden, attempts.told, strict=True)]
    over = [model.lowpass(gap) * mask for gap, mask in zip(gaps, tiles.clear, strict=True)]
    bare = torch.cat([gap.flatten(1)[:, at].T for gap, at in zip(gaps, tiles.places, strict=True)]).double()
    kriging = Kriging.learn(over, tiles.clear, torch.zeros(len(attempts.fits)), fields)
    left, judged = (
        torch.cat([getattr(fit, name) for fit in attempts.fits], 1) for name in ("left", "judged")
    )
    fine = bare - _brought(kriging, over, tiles, model)
    return _Sheet(
        left.double(),
        judged.double(),
        over,
        bare,
        fine,
        tiles.weight,
        [attempts.looks(each) for each in entries],
    )


def _brought(kriging: Kriging, over: Sequence[Tensor], tiles: _Tiles, model: PairModel) -> Tensor:
    """(s, m) what is brought back at the fine pixels that are compared."""
    back = [kriging(image, model.ratio) for image in over]
    return torch.cat(
        [image.flatten(1)[:, at].T for image, at in zip(back, tiles.places, strict=True)]
    ).double()


def _strayed(
    sheet: _Sheet, weights: Tensor, tiles: _Tiles, model: PairModel, fields: Sequence[Field]
) -> Tensor:
    """(1,) how far errors of the attempts go, stacked by (m, 1) weights, against what is foretold of them."""
    over = [torch.einsum("myx,mp->pyx", image, weights.to(image)) for image in sheet.over]
    kriging = Kriging.learn(over, tiles.clear, torch.zeros(1), fields)
    fine, left = sheet.bare @ weights - _brought(kriging, over, tiles, model), sheet.left @ weights
    kept = torch.cat([image[:, mask] for image, mask in zip(over, tiles.clear, strict=True)], 1).to(left)
    growth = kriging.growth(left.square().mean(0), kept.square().mean(1))
    signed = [signs(image) for image in sheet.looks]
    seen = [model.lowpass(each)[:, mask] for each, mask in zip(signed, tiles.clear, strict=True)]
    every = torch.cat([each.flatten(1) for each in signed], 1)
    doubt = Doubt.learn(left, torch.cat(seen, 1), every, growth.sqrt())
    spread = [doubt(image).flatten(1)[:, at].T for image, at in zip(sheet.looks, tiles.places, strict=True)]
    return deviation(fine / torch.cat(spread).to(fine).clamp_min(1e-30)).square()
