"""Measure: how each scene has to be moved and dimmed before it is laid on its cube; a few windows are read.

::

    scenes ─► unpacked ─► detectors against each other ─► against 'sharp', the date nearest in time
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.align import Reference, aligned, common_band
from stsfusion.ingest.choose import Chosen, Day
from stsfusion.ingest.cubeframe import cube_frame
from stsfusion.ingest.files import digest
from stsfusion.ingest.known import seen_of
from stsfusion.ingest.lineage import lineage
from stsfusion.ingest.masks import mask_of
from stsfusion.ingest.merge import merged
from stsfusion.ingest.mosaic import Member, mosaic
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Found, Move, Piece
from stsfusion.ingest.readers import Readers
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.room import Room
from stsfusion.ingest.scars import dead_of, dead_words, scarred
from stsfusion.ingest.shade import shade_of
from stsfusion.ingest.spread import means
from stsfusion.ingest.stamps import frame_of
from stsfusion.ingest.view import View
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.scene import Scene
from stsfusion.window import Interval

__all__ = ["SHARP", "Bench", "Found", "Series", "beside", "measured"]

SHARP = "sharp"
"""The role that others are laid onto."""


@dataclass(frozen=True)
class Series:
    """One cube's scenes."""

    role: str
    """Name of the cube."""

    days: Sequence[Day]
    """Its dates."""

    spec: CubeSpec
    """Its frame; it tells nothing of the scenes yet."""

    ratio: int
    """Base pixels along one of its pixels."""

    found: tuple[tuple[Found, ...], ...] = ()
    """(time,) what was measured, where it was."""

    @classmethod
    def of(cls, chosen: Chosen, role: str) -> Series:
        """A role's scenes, not measured yet."""
        days, ratio = chosen.days[role], chosen.ratios[role]
        return cls(role, days, cube_frame(role, days, chosen.grid, ratio, {}), ratio)

    @property
    def sensor(self) -> str:
        """The instrument."""
        return self.days[0].scenes[0].sensor

    def pieces(self, date: int) -> list[Piece]:
        """How the scenes of a date are read."""
        return [one.piece for one in self.found[date]]

    def nearest(self, day: Day) -> int:
        """The date nearest in time."""
        return int(np.argmin([abs((day.time - other.time).total_seconds()) for other in self.days]))


@dataclass(frozen=True)
class Bench:
    """What measuring needs."""

    options: Options
    room: Room
    readers: Readers
    sharp: Series | None
    """Measured; None where there is none, or it is being measured itself."""

    before: Remembered = field(default_factory=Remembered)
    """What was measured before."""


def measured(bench: Bench, series: Series, day: Day, scene: Scene) -> Found:
    """One scene, put right as far as it was found wrong.

    Raises
    ------
    DeliveryError
        When it is not what it was when it was catalogued, or lacks gains.
    """
    options = bench.options
    own = mask_of(options.masks, scene, series.spec.grid)
    piece = Piece(scene, bench.room.place(scene), options.terrain, mask=own)
    reference, others = _sharp(bench, series, day)
    *members, member = bench.readers.members([*others, piece])
    view, source = member.view, "as stated"
    if options.terrain is None:
        piece, source = replace(piece, terrain=_own_level(view)), "the mean height that the RPC states"
        view = replace(view, terrain=piece.terrain)
    piece = replace(piece, dead=dead_of(view))
    view = scarred(view, piece.dead)
    view, seam = merged(view, series.spec.grid) if options.detectors else (view, {})
    offset: dict[str, Any] = {}
    if reference is not None:
        against = reference.on(members)
        view, told = aligned(view, series.spec.grid, against, options.threshold)
        offset = {"registration": told}
    cover = {} if own is None else {"mask": {"path": own.name, "sha256": digest(own)}}
    shade = shade_of(view, series.spec.grid) if options.clouds else None
    piece = replace(piece, moves=_moves(view), shade=shade)
    found = seam | offset | cover | dead_words(piece.dead)
    return Found(piece, lineage(view, piece.terrain, source, options, found))


def _moves(view: View) -> tuple[Move, ...]:
    """What was found for each image, where it is more than nothing."""
    moves = [Move(one.layer.name, one.east, one.north, one.gain) for one in view.images]
    return tuple(move for move in moves if (move.east, move.north, move.gain) != (0.0, 0.0, 1.0))


def _own_level(view: View) -> Terrain | None:
    heights = [image.rational.height_offset for image in view.images if image.rational is not None]
    return Terrain(height=float(np.mean(heights))) if heights else None


@dataclass(frozen=True)
class _Beside:
    """The sharp date nearest in time, and the bands by which a scene is compared with it."""

    series: Series
    date: int
    bands: tuple[str, str]
    ratio: int
    clouds: bool

    def on(self, members: Sequence[Member]) -> Reference:
        """One band of it, in the pixels of the scene's cube."""
        spec, band = self.series.spec, self.series.spec.bands.index(self.bands[0])

        def read(rows: Interval, cols: Interval) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
            tall, wide = ((self.ratio * first, self.ratio * last) for first, last in (rows, cols))
            part = mosaic(members, spec, tall, wide, self.clouds)
            known = means(part.valid[band], self.ratio) == 1.0
            return means(part.reflectance[band], self.ratio), known

        name = f"{SHARP} {self.series.days[self.date].time:%Y-%m-%d} {self.bands[0]}"
        return Reference(name, read, self.bands[1])


def beside(bench: Bench, series: Series, day: Day) -> tuple[list[Any] | None, list[Piece]]:
    """All that a scene's place hangs on, and the scenes of that; None where it stays as it is."""
    reference, pieces = _sharp(bench, series, day)
    if reference is None:
        return None, []
    sharp = reference.series
    when = f"{sharp.days[reference.date].time:%Y-%m-%d}"
    told = [
        when,
        reference.bands,
        reference.ratio,
        frame_of(sharp.spec),
        seen_of(sharp.found[reference.date]),
    ]
    return told, pieces


def _sharp(bench: Bench, series: Series, day: Day) -> tuple[_Beside | None, list[Piece]]:
    """What a scene is laid onto, and the scenes that this takes; None where it stays as it is."""
    sharp = bench.sharp
    if sharp is None or not bench.options.register:
        return None, []
    bands = common_band(sharp.sensor, series.sensor)
    if bands is None or series.ratio % sharp.ratio:
        return None, []
    date = sharp.nearest(day)
    beside = _Beside(sharp, date, bands, series.ratio // sharp.ratio, bench.options.clouds)
    return beside, sharp.pieces(date)
