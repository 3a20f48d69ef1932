"""Neighbours: of every fine pixel the few most like it in a window around it, and weighted means over them.

::

    key_i(x) = Σ_b |g_b(i) − g_b(x)|^p / s_b^p                 the `count` smallest are kept
    m(x)     = Σ_i f(i) / (1 + |i − x| / (w/2)) / Σ_i 1 / (1 + |i − x| / (w/2))

The guide g is an image as it was observed, so that a tile and the whole scene choose the very same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["Neighbours"]

_ROOM = 1 << 16
"""Candidates that are compared at once."""

_TIE = 1e-6
"""Of two equally alike pixels the nearer one is kept: what the window's whole radius adds to the key."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which pixels count as alike."""

    radius: int
    """Fine pixels that the window reaches to every side."""

    count: int
    """How many are kept, the pixel itself among them."""

    scale: Tensor
    """(b,) of the guide's bands, reflectance: what they are measured in."""

    power: Literal[1, 2] = 2
    """Whether differences or their squares are summed over bands."""

    def mean(self, fields: Tensor, guide: Tensor, valid: Tensor, labels: Tensor | None = None) -> Tensor:
        """Weighted means over the pixels most alike in the guide.

        Parameters
        ----------
        fields
            (c, y, x) what is averaged.
        guide
            (b, y, x) what alike is judged by.
        valid
            (y, x) bool: pixels that may be chosen. The pixel itself always may.
        labels
            (y, x) classes: only pixels of its own class are alike. None: one class.

        Returns
        -------
        Tensor
            (c, y, x).
        """
        rows, cols = guide.shape[-2:]
        own = guide / self.scale.to(guide)[:, None, None]
        marks = torch.zeros_like(own[0]) if labels is None else labels.to(own)
        marks = torch.where(valid, marks, torch.inf)
        near = pad(own, (self.radius,) * 4)
        far = pad(marks, (self.radius,) * 4, value=torch.inf)
        lent = pad(fields, (self.radius,) * 4).flatten(1)
        classes = None if labels is None else labels.to(own)
        out = torch.empty_like(fields)
        step = max(1, _ROOM // (cols * self.side**2))
        for top in range(0, rows, step):
            strip = slice(top, min(top + step, rows))
            key = self._keys(own[:, strip], near, far, classes, strip)
            best = key.topk(min(self.count, key.shape[-1]), dim=-1, largest=False)
            out[:, strip] = self._mean(lent, best.values, best.indices, top, near.shape[-1])
        return out

    @property
    def side(self) -> int:
        """Pixels along one side of the window."""
        return 2 * self.radius + 1

    def _distances(self, like: Tensor) -> Tensor:
        """(side²,) fine pixels from the window's middle."""
        places = torch.arange(-self.radius, self.radius + 1, device=like.device).to(like)
        return torch.hypot(places[:, None], places[None, :]).flatten()

    def _keys(self, own: Tensor, near: Tensor, far: Tensor, classes: Tensor | None, strip: slice) -> Tensor:
        """(rows, x, side²) how unlike each candidate is; infinite where it may not be chosen."""
        reach = slice(strip.start, strip.stop + 2 * self.radius)
        key = torch.zeros((*own.shape[1:], self.side, self.side), dtype=own.dtype, device=own.device)
        for centre, band in zip(own, near, strict=True):
            off = self._windows(band[reach]) - centre[..., None, None]
            key.add_(off.abs_() if self.power == 1 else off.square_())
        key = key.flatten(2).add_(self._distances(own), alpha=_TIE / max(self.radius, 1))
        marks = self._windows(far[reach]).flatten(2)
        key.masked_fill_(
            torch.isinf(marks) if classes is None else marks != classes[strip, :, None], torch.inf
        )
        key[..., self.side**2 // 2] = 0.0
        return key

    def _windows(self, image: Tensor) -> Tensor:
        """(y, x) to the window of every pixel, (y', x', side, side), without a copy."""
        return image.unfold(0, self.side, 1).unfold(1, self.side, 1)

    def _mean(self, lent: Tensor, key: Tensor, chosen: Tensor, top: int, width: int) -> Tensor:
        """(c, rows, x) means over the chosen places of each window."""
        distance = self._distances(key)[chosen]
        weight = 1.0 / (1.0 + distance / max(self.radius, 1))
        weight = torch.where(torch.isinf(key), 0.0, weight)
        weight = weight / weight.sum(-1, keepdim=True)
        rows, cols = key.shape[:2]
        y = torch.arange(top, top + rows, device=key.device)[:, None, None] + chosen // self.side
        x = torch.arange(cols, device=key.device)[:, None] + chosen % self.side
        places = (y * width + x).flatten()
        return torch.stack([(band[places].view_as(weight) * weight).sum(-1) for band in lent])
