"""Patches: cuts of lessons, turned and mirrored, with labels that lie behind their sensors' blur."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Role
from stsfusion.learning.detail import lowpass
from stsfusion.operators.blur import Blur

__all__ = ["Label", "Lesson", "Turn"]


@dataclass(frozen=True, eq=False)
class Label:
    """What one sensor saw of the answer."""

    data: Tensor
    """(n, channel, y/r, x/r), in the units of the network's output."""

    weight: Tensor
    """(n, 1, y/r, x/r), zero where invalid."""

    dates: tuple[int, ...]
    """The target's dates that it saw."""

    blur: Blur
    """From the target's grid to it."""

    def crop(self, row: int, col: int, rows: int, cols: int) -> Label:
        """A window of the target, edges on multiples of the ratio; what sees beyond them loses its weight."""
        r = self.blur.ratio
        window = (slice(row // r, (row + rows) // r), slice(col // r, (col + cols) // r))
        weight = self.weight[:, :, window[0], window[1]].clone()
        margin = -(-self.blur.reach // r)
        if margin and min(weight.shape[2:]) > 2 * margin:
            weight[:, :, :margin] = 0.0
            weight[:, :, -margin:] = 0.0
            weight[..., :margin] = 0.0
            weight[..., -margin:] = 0.0
        return replace(self, data=self.data[:, :, window[0], window[1]], weight=weight)

    def mixed(self, date: int, other: int, share: float) -> Label:
        """The label when `date` becomes a mixture with so much of `other`; unchanged without both of them."""
        if date not in self.dates or other not in self.dates:
            return self
        place, source = self.dates.index(date), self.dates.index(other)
        data, weight = self.data.clone(), self.weight.clone()
        data[place] = data[place].lerp(data[source], share)
        weight[place] = weight[place] * (weight[source] > 0)
        return replace(self, data=data, weight=weight)

    def veiled(self, hidden: Tensor) -> Label:
        """The label without weight where the (y, x) bool mask, on the target's grid, is set in any pixel."""
        r = self.blur.ratio
        rows, cols = self.weight.shape[2:]
        mask = hidden[: rows * r, : cols * r].reshape(rows, r, cols, r).any(3).any(1)
        return replace(self, weight=torch.where(mask.to(self.weight.device), 0.0, self.weight))

    def only(self, dates: Collection[int]) -> Label:
        """The label without weight at other dates."""
        share = torch.tensor([float(date in dates) for date in self.dates]).to(self.weight)
        return replace(self, weight=self.weight * share[:, None, None, None])

    def look(self, images: Tensor) -> Tensor:
        """What the sensor would see of (time, channel, y, x) images at its dates."""
        chosen = images[list(self.dates)]
        return chosen if self.blur.kernel.numel() == 1 else lowpass(chosen, self.blur)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One tile of one way of asking."""

    features: Tensor
    """(time, channel, y, x)."""

    labels: Mapping[Role, Label]
    """What is known of the answer."""

    hidden: tuple[int, ...]
    """The target's dates that were hidden."""

    multiple: int
    """What the edges of a window must be multiples of."""

    def draw(self, size: int, generator: torch.Generator) -> Lesson:
        """A random window of about this many pixels a side, or all of it when it is smaller."""
        rows, cols = self.features.shape[2:]
        (row, height), (col, width) = (self._side(length, size, generator) for length in (rows, cols))
        return self.cut(row, col, height, width)

    def cut(self, row: int, col: int, rows: int, cols: int) -> Lesson:
        """A window, its edges on multiples of `multiple`."""
        window = (slice(None), slice(None), slice(row, row + rows), slice(col, col + cols))
        labels = {role: label.crop(row, col, rows, cols) for role, label in self.labels.items()}
        return Lesson(self.features[window], labels, self.hidden, self.multiple)

    def veiled(self, hidden: Tensor) -> Lesson:
        """The lesson with labels that say nothing where the (y, x) bool mask is set."""
        return replace(self, labels={role: label.veiled(hidden) for role, label in self.labels.items()})

    def _side(self, length: int, size: int, generator: torch.Generator) -> tuple[int, int]:
        m = self.multiple
        taken = min(max(size // m, 1) * m, length)
        places = (length - taken) // m + 1
        return int(torch.randint(places, (), generator=generator)) * m, taken


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a square on itself."""

    code: int
    """0 to 7: quarter turns, and 4 for a mirror before them."""

    def forth(self, x: Tensor) -> Tensor:
        """Mirror, then turn."""
        mirrored = x.flip(-1) if self.code >= 4 else x
        return torch.rot90(mirrored, self.code % 4, (-2, -1))

    def back(self, x: Tensor) -> Tensor:
        """The inverse of `forth`."""
        turned = torch.rot90(x, -(self.code % 4), (-2, -1))
        return turned.flip(-1) if self.code >= 4 else turned
