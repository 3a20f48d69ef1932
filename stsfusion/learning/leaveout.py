"""Leave out: ridge regression that chooses its shrinkage by the pixels it was not shown, a block at a time.

::

    e₋B = (I − H_BB)⁻¹ e_B      H_BB: the hat matrix among the pixels of block B      no fit is done twice

Neighbouring coarse pixels look at common ground and err alike; leaving out one of them would flatter every
fit that can follow the others. Whole blocks are left out instead. Fits are made and judged on errors rid of
what neighbours have in common (`Likeness`): generalised least squares.

Source: Allen (1974), prediction sum of squares; Roberts et al. (2017), block cross-validation; Aitken (1935).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from stsfusion.learning.likeness import Likeness
from stsfusion.operators.nnls import nnls

__all__ = ["Fit", "blocks_of", "path", "ridge", "stack"]

_RIGID = 0.02
"""Added to I − H_BB: a block that the fit hangs on alone is not blown up without bound."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A regression and how it does on pixels that it was not shown."""

    slope: Tensor
    """(d, p) of the features."""

    plain: Tensor
    """(c, p) of the columns that are not shrunk."""

    left: Tensor
    """(n, p) residuals of pixels whose block was left out."""

    judged: Tensor
    """(n, p) the same, rid of what neighbours have in common: what a fit is chosen by."""


def ridge(
    features: Tensor,
    plain: Tensor,
    outputs: Tensor,
    weight: Tensor,
    blocks: Tensor,
    penalties: Sequence[float],
    likeness: Likeness | None = None,
    shares: Tensor | None = None,
) -> Fit:
    """Argmin Σ wᵢ ‖yᵢ − xᵢ B − cᵢ D‖² + λ n ‖B‖², λ for every output the one with the least left-out error.

    Parameters
    ----------
    features
        (n, d) x, scaled alike, double precision.
    plain
        (n, c) columns c that are not shrunk, the constant among them.
    outputs
        (n, p) y.
    weight
        (n,) w of mean one.
    blocks
        (m, s) places of the pixels of every block, n where a block has fewer than s.
    penalties
        Candidates for λ.
    likeness, shares
        Neighbours, and for every output (p,) the share of their mean that rows are rid of; None: nothing.
    """
    tried = path(features, plain, outputs, weight, blocks, penalties, likeness, shares)
    losses = torch.stack([(fit.judged.square() * weight[:, None]).sum(0) for fit in tried])
    choice, every = losses.argmin(0), torch.arange(losses.shape[1], device=losses.device)
    return Fit(
        *(torch.stack([getattr(fit, name.name) for fit in tried])[choice, :, every].T for name in fields(Fit))
    )


def path(
    features: Tensor,
    plain: Tensor,
    outputs: Tensor,
    weight: Tensor,
    blocks: Tensor,
    penalties: Sequence[float],
    likeness: Likeness | None = None,
    shares: Tensor | None = None,
) -> list[Fit]:
    """One `ridge` under every penalty, the same for all outputs; one decomposition a share does for all."""
    shares = outputs.new_zeros(outputs.shape[1]) if shares is None else shares
    whole: list[dict[str, Tensor]] = [{} for _ in penalties]
    for share in shares.unique().tolist():
        own = (shares == share).nonzero()[:, 0]
        tried = _alike(features, plain, outputs[:, own], weight, blocks, penalties, likeness, share)
        for room, fit in zip(whole, tried, strict=True):
            for name, part in vars(fit).items():
                room.setdefault(name, part.new_zeros(len(part), len(shares)))[:, own] = part
    return [Fit(**room) for room in whole]


def _alike(
    features: Tensor,
    plain: Tensor,
    outputs: Tensor,
    weight: Tensor,
    blocks: Tensor,
    penalties: Sequence[float],
    likeness: Likeness | None,
    share: float,
) -> list[Fit]:
    """The same of outputs that are rid of the same share."""
    root = weight.sqrt()[:, None]

    def rid(rows: Tensor) -> Tensor:
        return (rows if likeness is None else likeness.rid(rows, share)) * root

    frame, corner = torch.linalg.qr(rid(plain))
    straight = torch.linalg.pinv(corner)
    rows, aims = rid(features), rid(outputs)
    x, x_shared = _less(rows, features, frame, plain @ straight)
    y, y_shared = _less(aims, outputs, frame, plain @ straight)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    seen, told, n = x_shared @ v.T, u.T @ y, len(y)
    member, held, wide = _padded(u)[blocks], _padded(frame)[blocks], _padded(seen)[blocks]
    base, shared = (part @ held.transpose(1, 2) for part in (held, _padded(plain @ straight)[blocks]))
    eye = (1.0 + _RIGID) * torch.eye(blocks.shape[1]).to(y)
    found = []
    for penalty in penalties:
        keep = s.square() / (s.square() + penalty * n)
        back = keep / s.clamp_min(1e-12)
        hat = (member * keep) @ member.transpose(1, 2) + base
        error = _padded(y - u @ (keep[:, None] * told))[blocks]
        missed = torch.linalg.solve(eye - hat, error)
        judged = _scattered(missed, blocks, n)
        # The same fits, seen at pixels as they are.
        moved = ((wide * back) @ member.transpose(1, 2) + shared) @ missed
        left = y_shared - seen @ (back[:, None] * told) + _scattered(moved, blocks, n)
        left = left - _RIGID * judged / root
        slope = v.T @ (back[:, None] * told)
        plainly = straight @ (frame.T @ (aims - rows @ slope))
        found.append(Fit(slope, plainly, left, judged / root))
    return found


def _less(rid: Tensor, rows: Tensor, frame: Tensor, plain: Tensor) -> tuple[Tensor, Tensor]:
    """Rows less what the plain columns tell of them: rid of what is alike, and as they are."""
    told = frame.T @ rid
    return rid - frame @ told, rows - plain @ told


def _padded(rows: Tensor) -> Tensor:
    """A row of zeros behind the last: the place of what a block lacks."""
    return torch.cat([rows, torch.zeros_like(rows[:1])])


def _scattered(pieces: Tensor, blocks: Tensor, count: int) -> Tensor:
    """(m, s, p) back to (n, p)."""
    out = pieces.new_zeros(count + 1, pieces.shape[2])
    out[blocks.flatten()] = pieces.flatten(0, 1)
    return out[:count]


def blocks_of(clear: Sequence[Tensor], side: int) -> Tensor:
    """(m, side²) places of the clear pixels, tile after tile, in squares of `side`; n where there is none."""
    total = sum(int(mask.sum()) for mask in clear)
    found, before = [], 0
    for mask in clear:
        place = torch.full(mask.shape, total, device=mask.device)
        own = int(mask.sum())
        place[mask] = torch.arange(before, before + own, device=mask.device)
        before += own
        down, right = -mask.shape[0] % side, -mask.shape[1] % side
        wide = torch.nn.functional.pad(place, (0, right, 0, down), value=total)
        squares = wide.unfold(0, side, side).unfold(1, side, side).flatten(2).flatten(0, 1)
        found.append(squares[(squares < total).any(1)])
    return torch.cat(found)


def stack(judged: Sequence[Tensor], weight: Tensor, more: Tensor | None = None, share: float = 0.0) -> Tensor:
    """(m, p) weights ≥ 0 of unit sum of m regressions, by least squares on their left-out residuals.

    Parameters
    ----------
    judged
        m times (n, p).
    weight
        (n,) of the pixels.
    more, share
        (p, m, m) mean products of the errors of such regressions somewhere else, and their share of the say;
        None: nothing more is known.

    Source: Breiman (1996), stacked regressions.
    """
    root = weight.sqrt()
    found = []
    for output in range(judged[0].shape[1]):
        errors = torch.stack([each[:, output].to(root) * root for each in judged])
        gram = _scaled(errors @ errors.T).cpu()
        if more is not None:
            gram = (1.0 - share) * gram + share * _scaled(more[output]).to(gram)
        # A heavy equation "the weights sum to one" keeps the problem an ordinary non-negative one.
        held = gram + 1e-3 * torch.eye(len(gram)).to(gram) + 1e3
        own = nnls(held, torch.full((len(gram),), 1e3, dtype=gram.dtype))
        found.append(own / own.sum().clamp_min(1e-12))
    return torch.stack(found, 1).to(root)


def _scaled(gram: Tensor) -> Tensor:
    """(m, m) products of errors in units of the typical regression's mean square."""
    return gram / gram.diagonal().median().clamp_min(1e-300)
