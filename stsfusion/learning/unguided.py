"""Unguided: fine pixels of which the guide knows nothing, and what they may be.

::

    k(s, s') of pixels of unknown looks:  E exp(−½ ‖g − g'‖² / w²) = Π (1 + 2 v / w²)^-½     for s ≠ s'
    what a regression on the guide leaves over there:  spread² + slopeᵀ cov(g) slope

Their components are all zero, the mean; taken at its word, they would be one surface, and what was seen of
each would be noise about the mean of all.

Source: the expected kernel of uncertain inputs, Girard et al. (2003), of two independent Gaussian ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import max_pool2d

from stsfusion.learning.guide import Guide

__all__ = ["Unguided", "unguided"]


@dataclass(frozen=True, eq=False)
class Unguided:
    """Where in a tile nothing is known of the guide, and how it varies."""

    where: Tensor
    """(H, W) bool."""

    components: Tensor
    """(q,) variance of the guide's components."""

    looks: Tensor
    """(q',) variance of the leading ones in the metric of likeness."""

    @classmethod
    def of(cls, guide: Guide, components: Tensor) -> Unguided | None:
        """From the (q, H, W) components of a tile; None where something is known of all its pixels."""
        where = unguided(components)
        if not bool(where.any()):
            return None
        own = guide.variance
        return cls(where, own, own[: len(guide.metric)] * guide.metric.square())

    def alike(self, width: Tensor) -> Tensor:
        """() expected likeness of two such pixels."""
        return (1.0 + 2.0 * self.looks / width.to(self.looks).square()).rsqrt().prod()

    def share(self, ratio: int) -> Tensor:
        """(h, w) of coarse pixels: one where any of their fine pixels is such."""
        return max_pool2d(self.where[None, None].float(), ratio)[0, 0]


def unguided(components: Tensor) -> Tensor:
    """(H, W) bool: pixels of which no channel of the stack was seen, by the (q, H, W) components."""
    return (components == 0).all(0)
