"""fsdaf: class by class through the coarse change, what is left handed to the pixels that seem to need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.blend import Blend, pixels
from stsfusion.learning.classes import Classes, class_changes
from stsfusion.learning.coarsepixel import CoarsePixel, box_mean, width_of
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.learning.neighbours import Neighbours
from stsfusion.learning.series import SeriesMethod
from stsfusion.learning.thinplate import REACH, thin_plate
from stsfusion.operators.resample import blocks

__all__ = ["FSDAF"]

_SAMPLES = 20_000
"""Fine pixels that classes are learned from."""

_SEEN = 0.999
"""Share of a coarse pixel that must have been seen on all dates to learn from it."""

_MOST = 20
"""Similar pixels, and how far they may be, where nothing is said."""

_EVENLY = 0.1
"""Weight that every fine pixel gets in a residual, in the residual: none takes a coarse pixel's all."""


@dataclass
class FSDAF(SeriesMethod):
    """F_k = F + S [ΔF_c + m R W], S the mean over similar pixels of the class.

    ΔF_c are class changes that explain the coarse change by least squares, R = ΔC − mean ΔF_c what they
    leave, and W hands it out within a coarse pixel: by the difference between the thin plate through C_k and
    the temporal prediction F + ΔF_c where the land is uniform, evenly where it is mixed. F and C are bases
    interpolated linearly in days. Where coarse images were resampled to the fine grid they are themselves the
    interpolation, and a coarse pixel lies around every fine one. Weights against the sign of R are dropped.

    Source: Zhu et al. (2016), doi:10.1016/j.rse.2015.11.016, eqs. 2 to 21; the thin plate is a local one.
    """

    classes: int = field(default=5, metadata={"ge": 1, "le": 64})
    """Classes that fine pixels are sorted into, for every asked date."""

    purest: int = field(default=100, metadata={"ge": 1, "le": 100_000})
    """Coarse pixels that each class brings to the least squares."""

    trim: float = field(default=0.1, metadata={"ge": 0.0, "le": 0.45})
    """Share of these left out at either end of their changes."""

    radius: int = field(default=0, metadata={"ge": 0, "le": 100})
    """Fine pixels that similar ones are looked for in, to every side; 0: a coarse pixel's width, from 2 to
    the authors' 20."""

    similar: int = field(default=0, metadata={"ge": 0, "le": 1000})
    """How many similar pixels are averaged, the pixel itself among them; 0: as many as a coarse pixel has
    fine ones, the authors' 20 at most."""

    coarse: int = field(default=0, metadata={"ge": 0, "le": 512})
    """Fine pixels along one side of a coarse one; 0: the data's ratio, or found where they were resampled."""

    seed: int = 0
    """Of the clustering."""

    @property
    def card(self) -> Card:
        """Unmixing, thin plate, residuals."""
        return Card(
            name="fsdaf",
            title="FSDAF",
            source="10.1016/j.rse.2015.11.016",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            chooses=True,
            memory=15.0,
        )

    def context(self, ratio: int) -> int:
        """The thin plate or the coarse pixel, and the similar pixels."""
        pixel = self._pixel(self.state, "own.coarse", ratio)
        return self._radius(pixel) + max(
            pixel.reach, pixel.size // 2, (REACH + 1) * ratio if pixel.aligned else 0
        )

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """The coarse pixels' width and, for every date, classes and what they change by."""
        seen = [self.bases_of(tile) for tile in tiles]
        width = torch.tensor(width_of(self.coarse, tiles, seen))
        pixel = CoarsePixel.of(int(width), tiles[0].ratio)
        bases = [tile.base(date) for tile, dates in zip(tiles, seen, strict=True) for date in dates]
        scale = _deviation(bases)
        asked = sorted({tile.day(date) for tile in tiles for date in tile.watched})
        days, centres, changes = list[float](), list[Tensor](), list[Tensor]()
        for i, day in enumerate(asked):
            tick(i / len(asked), "classes")
            views = [view for tile in tiles for view in self._views(tile, day)]
            if views:
                dice = torch.Generator().manual_seed(self.seed)
                classes = Classes.learn(_sampled(views, dice), scale, self.classes, dice)
                rows = [_rows(base, look, classes, pixel) for base, look in views]
                shares, change = (torch.cat(parts, 1) for parts in zip(*rows, strict=True))
                centres.append(classes.centres)
                changes.append(class_changes(shares, change, self.purest, self.trim))
                days.append(day)
        none = scale.new_zeros(0, self.classes, len(scale))
        return {
            "coarse": width,
            "scale": scale,
            "days": torch.tensor(days, dtype=torch.float64),
            "centres": torch.stack(centres) if centres else none,
            "changes": torch.stack(changes) if changes else none,
        }

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """Temporal prediction, residuals, filter."""
        pixel = self._pixel(state, "coarse", asked.ratio)
        base = Blend.linear(bases, asked)
        day = int((state["days"].cpu() - asked.day).abs().argmin())
        labels = Classes(state["centres"][day], state["scale"])(base.fine)
        change = state["changes"][day].T[:, labels]
        change = change + self._rest(base, asked, labels, change, pixel)
        count = self.similar or min(pixel.size**2, _MOST)
        alike = Neighbours(self._radius(pixel), count, state["scale"], power=1)
        return base.fine + alike.mean(change, base.fine, base.known, labels)

    def _rest(self, base: Blend, asked: Look, labels: Tensor, change: Tensor, pixel: CoarsePixel) -> Tensor:
        """(b, H, W) m R W: what the classes leave of the coarse change, handed out within coarse pixels."""
        if pixel.aligned:
            left = blocks(asked.own - base.own, pixel.size) - pixel.mean(change)
            spatial = thin_plate(asked.own, pixel.size)
        else:
            left = asked.coarse - base.coarse - pixel.mean(change)
            spatial = asked.coarse
        uniform = _homogeneity(labels, self.classes, pixel.size | 1)
        weight = (spatial - base.fine - change) * uniform + left * (1.0 - uniform)
        weight = (weight * left.sign()).clamp_min(0.0)
        evenly = _EVENLY * left.abs() + torch.finfo(left.dtype).tiny
        return left * (weight + evenly) / (pixel.mean(weight) + evenly)

    def _views(self, tile: Looks, day: float) -> list[tuple[Blend, Look]]:
        """What a day is made from in a tile, and what the coarse sensor saw; none where there is no base."""
        dates = [date for date in tile.watched if tile.day(date) == day and self.chosen(tile, date)]
        looks = [(date, tile.look(date)) for date in dates]
        return [
            (Blend.linear([tile.base(base) for base in self.chosen(tile, date)], look), look)
            for date, look in looks
        ]

    def _radius(self, pixel: CoarsePixel) -> int:
        return self.radius or min(max(pixel.size, 2), _MOST)

    def _pixel(self, state: Mapping[str, Tensor], name: str, ratio: int) -> CoarsePixel:
        return CoarsePixel.of(int(state[name]) if name in state else self.coarse or ratio, ratio)

    @classmethod
    def example(cls, **settings: object) -> FSDAF:
        """Few classes."""
        return cls(**{"classes": 3, **settings})  # type: ignore[arg-type]


def _deviation(bases: Sequence[Base]) -> Tensor:
    """(b,) standard deviations of the fine images; one where nothing varies."""
    fine = pixels([base.fine for base in bases], [base.known for base in bases])
    scale = fine.double().std(1, correction=0)
    return torch.where(scale > 0, scale, 1.0).float()


def _sampled(views: Sequence[tuple[Blend, Look]], dice: torch.Generator) -> Tensor:
    """(n, b) fine pixels, of those that were seen."""
    fine = pixels([base.fine for base, _ in views], [base.known for base, _ in views])
    return fine[:, torch.randperm(fine.shape[1], generator=dice)[:_SAMPLES].to(fine.device)].T


def _rows(base: Blend, asked: Look, classes: Classes, pixel: CoarsePixel) -> tuple[Tensor, Tensor]:
    """(k, n) shares of the classes in coarse pixels that were seen whole, (b, n) what these changed by."""
    change = pixel.at(asked.own - base.own if pixel.aligned else asked.coarse - base.coarse)
    seen = pixel.samples((base.known & asked.known).to(change)[None])[0] > _SEEN
    members = one_hot(classes(base.fine), len(classes.centres)).permute(2, 0, 1).to(change)
    return pixel.samples(members)[:, seen], change[:, seen]


def _homogeneity(labels: Tensor, count: int, window: int) -> Tensor:
    """(H, W) share of a pixel's window that is of its own class."""
    uniform = torch.zeros(labels.shape, device=labels.device)
    for label in range(count):
        members = (labels == label).to(uniform)
        uniform.add_(members * box_mean(members[None], window)[0])
    return uniform
