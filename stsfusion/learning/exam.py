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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.learning.attempts import Attempts, Ground, evened
from stsfusion.learning.doubt import Doubt, deviation, signs
from stsfusion.learning.kriging import Field, Kriging
from stsfusion.learning.leaveout import blocks_of, stack
from stsfusion.learning.members import Member
from stsfusion.learning.returned import Returned
from stsfusion.learning.sampling import drawn, lit
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Exam", "examine"]

_ENOUGH = 3
"""Bands of which one can be hidden."""

_SAMPLE = 20_000
"""Fine pixels that are compared, the same number from each tile."""

_SKETCH = 3_000
"""Fine pixels that the attempts of an exam are learned from."""

_HIDDEN = 3
"""Bands that are hidden at most, spread over the others."""

_EXACT = 1e-10
"""Share of a band's mean square under which what others do not tell of it is rounding."""


@dataclass(frozen=True, eq=False)
class Exam:
    """What the bands said."""

    gram: Tensor
    """(m, m) mean products of the attempts' errors at fine pixels, over the typical attempt's mean square at
    left-out coarse ones. Fine ones are rid of what kriging brings back (without lookalikes, which would cost
    more than they change here), coarse ones of what neighbours have in common."""

    share: float
    """Of the say that fine pixels have beside coarse ones: as many witnesses as a coarse pixel averages."""

    strayed: Tensor
    """(l',) of the hidden bands: variance of errors at fine pixels over the one that left-out coarse pixels,
    kriging and `Doubt`, as coarse pixels alone shape it, foretell, as nine of ten tell it. Errors are those
    after both ways of return."""

    errors: Tensor
    """(s, l') of the hidden bands at the fine pixels that are compared, told by all attempts together."""

    places: Sequence[Tensor]
    """Of these pixels, tile by tile."""

    def witness(self, signed: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """For `Doubt`: the errors, and the signs there, of (4, H, W) tiles."""
        near = [each.flatten(1)[:, place] for each, place in zip(signed, self.places, strict=True)]
        return self.errors, torch.cat(near, 1)


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
    """Hide some bands, one after the other; None where there are too few to hide one, or nothing to tell.

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
    members = [member.of(own, len(images[0])) for member in members]
    images = [image[own] for image in images]
    clear = [mask & (model.lowpass(image) != 0).any(0) for image, mask in zip(images, clear, strict=True)]
    if not any(bool(mask.any()) for mask in clear):
        return None
    ground = Ground(images, clear, model, blocks_of(clear, side), drawn(lit(images), _SAMPLE, dice))
    weight = evened(ground.pixels).double()
    fields = Field.tried(model)
    hidden = torch.linspace(0, len(own) - 1, min(len(own), _HIDDEN)).round().int().tolist()
    sheets = [_sheet(ground, weight, fields, band, dice, members) for band in hidden]
    grams = torch.stack([sheet.gram for sheet in sheets])
    fine = min(model.averaged, float(model.ratio**2))
    share = fine / (1.0 + fine)
    strayed, errors = [], []
    for sheet, gram in zip(sheets, grams, strict=True):
        # A band's own errors at fine pixels have no say in its weights, as those of scores have none.
        others = (grams.sum(0) - gram) / (len(grams) - 1)
        judged = list(sheet.judged.T[:, :, None])
        weights = stack(judged, torch.ones_like(judged[0][:, 0]), others[None], share)
        far, error = _strayed(sheet, weights, ground, fields)
        strayed.append(far)
        errors.append(error)
    exam = Exam(grams.mean(0), share, torch.cat(strayed), torch.cat(errors, 1), ground.places)
    said = (exam.gram, exam.strayed, exam.errors)
    # Next to nothing but one value: no regression of it says anything.
    return exam if all(bool(torch.isfinite(part).all()) for part in said) else None


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


def _sheet(
    ground: Ground,
    weight: Tensor,
    fields: Sequence[Field],
    band: int,
    dice: torch.Generator,
    members: Sequence[Member],
) -> _Sheet:
    """One band, told from the others."""
    bands = len(ground.images[0])
    rest = [i for i in range(bands) if i != band]
    members = [member.of(rest, bands) for member in members]
    own = replace(ground, images=[image[rest] for image in ground.images])
    low, fine = ground.both(image[band : band + 1] for image in ground.images)
    attempts = Attempts.learn(own, low.T, torch.ones_like(low[0]), dice, members, sample=_SKETCH)
    bare = (fine - attempts.told[:, 0]).T.double()
    over = _placed(attempts.over[:, 0], ground.clear)
    kriging = Kriging.learn(over, ground.clear, torch.zeros(len(over[0])), fields)
    back = _compared((kriging(image, ground.model.ratio) for image in over), ground)
    left, judged = (
        torch.cat([getattr(fit, name) for fit in attempts.fits], 1).double() for name in ("left", "judged")
    )
    return _Sheet(
        left,
        judged,
        over,
        bare,
        bare - back,
        weight,
        [attempts.looks(image) for image in own.images],
    )


def _placed(rows: Tensor, clear: Sequence[Tensor]) -> list[Tensor]:
    """(m, n) of the clear pixels to (m, h, w) of every tile, zero at the others; single precision."""
    found = []
    for mask, part in zip(clear, rows.float().split([int(mask.sum()) for mask in clear], 1), strict=True):
        image = part.new_zeros(len(rows), *mask.shape)
        image[:, mask] = part
        found.append(image)
    return found


def _compared(images: Iterable[Tensor], ground: Ground) -> Tensor:
    """(s, m) of (m, H, W) tiles at the fine pixels that are compared, double precision."""
    both = zip(images, ground.places, strict=True)
    return torch.cat([image.flatten(1)[:, at].T for image, at in both]).double()


def _strayed(
    sheet: _Sheet, weights: Tensor, ground: Ground, fields: Sequence[Field]
) -> tuple[Tensor, Tensor]:
    """(1,) how far attempts, stacked by (m, 1) weights, err against what is foretold; (s, 1) errors."""
    over = [torch.einsum("myx,mp->pyx", image, weights.to(image)) for image in sheet.over]
    returned = Returned.learn(over, ground.clear, torch.zeros(1), fields)
    tiles = zip(over, ground.clear, sheet.looks, strict=True)
    fine = sheet.bare @ weights - _compared((returned(*tile, ground.model) for tile in tiles), ground)
    left = sheet.left @ weights
    kept = torch.cat([image[:, mask] for image, mask in zip(over, ground.clear, strict=True)], 1).to(left)
    growth = returned.kriging.growth(left.square().mean(0), kept.square().mean(1))
    signed = [signs(image) for image in sheet.looks]
    seen, _ = ground.both(signed)
    every = torch.cat([each.flatten(1) for each in signed], 1)
    doubt = Doubt.learn(left, seen, every, growth.sqrt())
    spread = _compared((doubt(image) for image in sheet.looks), ground)
    return deviation(fine / spread.clamp_min(1e-30)).square(), fine
