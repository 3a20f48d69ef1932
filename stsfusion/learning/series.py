"""Series: spatio-temporal fusion as its literature knows it: a fine image made from a coarse one and bases.

::

    fit    tiles ─► Looks ─► days of which next to nothing was seen ─► learn ─► state
    fuse   sharp saw the pixel ─► the sharp image                        OBSERVED
           dense saw it        ─► predict from the nearest bases         FUSED
           neither             ─► linear in days between such pixels     INTERPOLATED, EXTRAPOLATED
           nothing ever        ─► the dense series, upsampled            FILLED

A method says what it learns of a scene (`learn`), how it makes one date from its bases (`predict`) and how
much context that needs (`context`). Both sensors have the target's bands, the sharp one has its pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.method import FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import date_weights, quality_of
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.operators.resample import Upsample, blocks

__all__ = ["Choice", "SeriesMethod"]

Choice = Literal["around", "nearest", "all"]
"""Which bases an asked date is made from."""

_LEAST = 0.05
"""Share of a date's pixels that both must have seen for it to be a base, unless there is no other."""


@dataclass
class SeriesMethod(FusionMethod):
    """Makes the fine image of every date that only the dense sensor saw."""

    bases: Choice = "around"
    """The nearest before and after (two of one side where the other has none), the nearest alone, or all."""

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Pixels by which gaps that no date knows are entered from their edges."""

    # ------------------------------------------------------------ what a method says

    @abstractmethod
    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """What is global of the scene, from sampled tiles; plain tensors, none may be needed.

        `tile.base(date)` for the dates in `self.bases_of(tile)`, `tile.look(date)` for those in
        `tile.watched`; `self.chosen(tile, date)` tells which bases a date will be made from.
        """

    @abstractmethod
    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """(b, H, W) reflectance of the asked date, from one or more bases in the order of days.

        `state` is what `learn` gave; the answer is local within `context` pixels. A base without a single
        known pixel, or with unknown ones, lowers weights; the answer is finite everywhere.
        """

    def context(self, ratio: int) -> int:
        """Fine pixels that `predict` looks at on every side."""
        return 0

    # ------------------------------------------------------------ the contract

    def halo(self, geometry: Geometry) -> int:
        """What `predict` needs, the interpolation onto the fine grid, and the filling."""
        ratio = geometry.ratio("dense")
        filling = self.passes * (ratio + 1)
        return self.context(ratio) + Upsample(ratio, (1, 1, 1, 1)).reach + filling

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Find which bands and dates are of use, and learn the scene.

        Raises
        ------
        ProblemError
            When the bands differ, or one of the sensors has no valid pixel.
        """
        live = torch.stack([self._live(problem) for problem in problems]).any(0)
        if not bool(live.any()):
            raise ProblemError(
                f"method '{self.card.name}'",
                expected="a band of which 'sharp' and 'dense' both have valid pixels",
                got="none",
                mend="Give a sharp and a dense date with valid pixels.",
            )
        tiles = [Looks.of(problem, live, self.passes) for problem in problems]
        state = {"live": live, "poor": _poor_days(tiles)}
        learned = self.with_state(state).learn(tiles, tick)
        tick(1.0, "learned")
        return self.with_state(state | {f"own.{name}": tensor for name, tensor in learned.items()})

    def fuse(self, problem: Problem) -> Answer:
        """The sharp image where there is one, the prediction elsewhere, interpolated where neither is."""
        self._live(problem)
        tile = Looks.of(problem, self.fitted()["live"], self.passes)
        time = len(tile.days)
        values = torch.empty_like(tile.coarse)
        for k in range(time):
            values[k] = self.date(tile, k)
        known = torch.stack([tile.sharp_known(k) for k in range(time)])
        made = known | (torch.stack([tile.dense_known(k) for k in range(time)]) & known.any(0))
        self._bridge(values, made, known, tile)
        return Answer(values, _quality(made, known, blocks(tile.ever, tile.ratio), tile.days))

    # ------------------------------------------------------------ one date

    def date(self, tile: Looks, date: int) -> Tensor:
        """(band, H, W) of one date of a tile, without interpolation in time of what was predicted."""
        values = tile.drift(date)
        seen, asked = tile.sharp_known(date), tile.dense_known(date)
        bases = self.chosen(tile, date)
        wanted = asked & ~seen
        if bases and bool(wanted.any()):
            fine = self.predict([tile.base(base) for base in bases], tile.look(date), self.own_state(values))
            values[tile.live] = torch.where(wanted, fine.to(values), values[tile.live])
        if date in tile.dates:
            place = tile.dates.index(date)
            values = torch.where(tile.valid[place], tile.sharp[place], values)
        return values

    def own_state(self, like: Tensor) -> Mapping[str, Tensor]:
        """What `learn` gave, on a tensor's device."""
        return {
            name.removeprefix("own."): tensor.to(like.device)
            for name, tensor in self.fitted().items()
            if name.startswith("own.")
        }

    def bases_of(self, tile: Looks) -> list[int]:
        """All dates of a tile that can be bases."""
        return tile.bases(self.fitted()["poor"].tolist())

    def chosen(self, tile: Looks, date: int) -> list[int]:
        """The bases that a date is made from, in the order of days; never the date itself."""
        others = [base for base in self.bases_of(tile) if base != date]
        if self.bases == "all":
            return others
        near = sorted(others, key=lambda base: (abs(tile.day(base) - tile.day(date)), base))
        if self.bases == "nearest":
            return near[:1]
        before = [base for base in near if base < date][:1]
        after = [base for base in near if base > date][:1]
        return sorted(before + after) if before and after else sorted(near[:2])

    def _bridge(self, values: Tensor, made: Tensor, known: Tensor, tile: Looks) -> None:
        """Where a date was not made, linear in days between those that were; in place."""
        for k, day in enumerate(tile.days):
            lost = ~made[k]
            if not bool((lost & made.any(0)).any()):
                continue
            weights = date_weights(made, tile.days, day[None])[0]
            bridged = torch.zeros_like(values[k])
            for weight, value in zip(weights, values, strict=True):
                bridged.addcmul_(weight, value)
            bridged = torch.where(lost & made.any(0), bridged, values[k])
            if k in tile.dates:
                bridged = torch.where(tile.valid[tile.dates.index(k)], values[k], bridged)
            values[k] = bridged

    def _live(self, problem: Problem) -> Tensor:
        """(band,) bool: bands with valid pixels of both; a refusal where bands or pixels differ."""
        sharp, dense = problem.require("sharp", "dense", by=self.card.name)
        bands = problem.target.shape[1]
        for role, seen in (("sharp", sharp), ("dense", dense)):
            matrix = seen.view.spectral.matrix
            if tuple(matrix.shape) != (bands, bands) or not torch.equal(matrix, torch.eye(bands).to(matrix)):
                raise ProblemError(
                    f"method '{self.card.name}', role '{role}'",
                    expected=f"the target's {bands} bands",
                    got=f"{matrix.shape[0]} bands that are made from them",
                    mend="Use 'chain', which matches bands before it fuses series.",
                )
        if sharp.ratio != 1:
            raise ProblemError(
                f"method '{self.card.name}', role 'sharp'",
                expected="the target's pixels",
                got=f"pixels {sharp.ratio} times as large",
                mend="Ask for a target on the sharp sensor's grid.",
            )
        return ~(sharp.dead_bands | dense.dead_bands)


def _poor_days(tiles: Sequence[Looks]) -> Tensor:
    """(n,) days of possible bases of which less than the least share was seen, all tiles together."""
    seen: dict[float, list[Tensor]] = {}
    for tile in tiles:
        for date in tile.common:
            seen.setdefault(tile.day(date), []).append(tile.both_known(date).flatten())
    poor = [day for day, masks in sorted(seen.items()) if float(torch.cat(masks).float().mean()) < _LEAST]
    return torch.tensor(poor, dtype=torch.float64)


def _quality(made: Tensor, known: Tensor, ever: Tensor, days: Tensor) -> Tensor:
    """(time, 1, H, W) uint8 from what was made, what sharp saw, and what dense ever saw."""
    quality = quality_of(made, days, days)
    quality[made & ~known] = int(Quality.FUSED)
    quality[~(made.any(0) | ever).expand_as(made)] = int(Quality.NO_DATA)
    return quality
