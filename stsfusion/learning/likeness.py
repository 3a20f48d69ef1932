"""Likeness: how much errors of coarse pixels are like their neighbours', and rows rid of it.

::

    white e(s) = e(s) − share · mean of e at the clear ones of the four pixels beside s

What neighbours have in common of an error is brought back by interpolating what is left over, whoever made
it. Regressions are therefore fitted and judged by the rest: by what an error has of its own at a pixel.

Source: simultaneous autoregression, Whittle (1954); the share of greatest likelihood as in Ord (1975).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Likeness"]

_SHARES = (0.0, 0.5, 0.8)
"""Candidates: short of one, at which the constant would go with what is alike."""

_TURNS = 256
"""Frequencies along one side at which a share's volume is summed up."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Who is beside whom among the clear coarse pixels."""

    beside: Tensor
    """(4, n) places of the pixels beside each one, n where there is none that is clear."""

    @classmethod
    def of(cls, clear: Sequence[Tensor]) -> Likeness:
        """From the (h, w) masks of the tiles, whose clear pixels are counted one tile after the other."""
        total, before, found = sum(int(mask.sum()) for mask in clear), 0, []
        for mask in clear:
            own = int(mask.sum())
            place = torch.full((mask.shape[0] + 2, mask.shape[1] + 2), total, device=mask.device)
            place[1:-1, 1:-1][mask] = torch.arange(before, before + own, device=mask.device)
            before += own
            sides = (place[:-2, 1:-1], place[2:, 1:-1], place[1:-1, :-2], place[1:-1, 2:])
            found.append(torch.stack([side[mask] for side in sides]))
        return cls(torch.cat(found, 1))

    def rid(self, rows: Tensor, share: float) -> Tensor:
        """(n, c) rows less a share of their neighbours' mean; a pixel without neighbours as it is."""
        return rows if share == 0.0 else rows - share * self._around(rows)

    def shares(self, errors: Tensor, weight: Tensor) -> Tensor:
        """(p,) the likeliest share for each column of (n, p) errors of pixels of (n,) weights."""
        around = self._around(errors)
        unlikely = torch.stack(
            [
                (weight[:, None] * (errors - share * around).square()).mean(0).clamp_min(1e-300).log()
                - 2.0 * _volume(share)
                for share in _SHARES
            ]
        )
        return torch.tensor(_SHARES, dtype=errors.dtype, device=errors.device)[unlikely.argmin(0)]

    def _around(self, rows: Tensor) -> Tensor:
        wide = torch.cat([rows, torch.zeros_like(rows[:1])])
        total, count = torch.zeros_like(rows), rows.new_zeros(len(rows), 1)
        for side in self.beside:
            total, count = total + wide[side], count + (side < len(rows))[:, None]
        return total / count.clamp_min(1.0)


def _volume(share: float) -> float:
    """Logarithm of the determinant of `rid`, a pixel's part, on a grid without edges."""
    turn = torch.cos((torch.arange(_TURNS, dtype=torch.float64) + 0.5) * (2.0 * math.pi / _TURNS))
    return float((1.0 - share * (turn[:, None] + turn) / 2.0).log().mean())
