"""Stack: some rows of all bases and of the asked date, laid together for a method with a search window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.looks import Base, Look
from stsfusion.learning.similar import strips

__all__ = ["Stack", "by_strips"]


@dataclass(frozen=True, eq=False)
class Stack:
    """n bases of b bands, h rows with those around them."""

    fine: Tensor
    """(n, b, h, W) reflectance, gaps filled."""

    coarse: Tensor
    """(n, b, h, W) reflectance on the fine grid."""

    change: Tensor
    """(n, b, h, W) coarse reflectance of the asked date less that of the base."""

    known: Tensor
    """(n, h, W) one where base and asked date were both seen, else zero."""

    own: slice
    """The rows that are asked for, of those held."""

    missing: tuple[int, int]
    """Rows that windows reach beyond the image's upper and lower edge."""

    @classmethod
    def of(
        cls, bases: Sequence[Base], asked: Look, own: slice, seen: slice, missing: tuple[int, int]
    ) -> Self:
        """Lay these rows together."""
        fine = torch.stack([base.fine[:, seen] for base in bases])
        coarse = torch.stack([base.coarse[:, seen] for base in bases])
        known = torch.stack([base.known[seen] & asked.known[seen] for base in bases])
        inner = slice(own.start - seen.start, own.stop - seen.start)
        return cls(fine, coarse, asked.coarse[:, seen] - coarse, known.to(fine), inner, missing)

    def trust(self) -> Tensor:
        """(n, own, W) one for bases known at a pixel; where none is, for all."""
        known = self.known[:, self.own]
        return torch.where(known.amax(0) > 0, known, 1.0)


def by_strips(bases: Sequence[Base], asked: Look, radius: int, make: Callable[[Stack], Tensor]) -> Tensor:
    """(b, H, W) made a strip of rows at a time."""
    out = torch.empty_like(asked.coarse)
    for own, seen, missing in strips(asked.coarse.shape[1], radius):
        out[:, own] = make(Stack.of(bases, asked, own, seen, missing))
    return out
