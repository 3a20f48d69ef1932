"""Readers: the scenes that are open, the last few of them; each is checked once, when it is opened."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.mosaic import Member
from stsfusion.ingest.plan import Piece, Scale
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.room import Room
from stsfusion.ingest.scars import scarred
from stsfusion.ingest.view import open_view
from stsfusion.ingest.warp import Terrain

__all__ = ["Readers"]

_MOST = 8
"""Scenes that are kept open beside those that are asked for."""


@dataclass
class Readers:
    """Open scenes; what a piece says of one is put on top of it."""

    gains: Mapping[str, GainsFile] = field(default_factory=dict)
    """The user's own, by instrument."""

    limits: Limits | None = None
    """Of deliveries."""

    room: Room | None = None
    """Where archives are unpacked when they are opened; None: they are."""

    _open: OrderedDict[str, tuple[ExitStack, Member]] = field(default_factory=OrderedDict, repr=False)

    def members(self, pieces: Sequence[Piece]) -> list[Member]:
        """All scenes of a day, ready to be read until this is asked the next time.

        Raises
        ------
        DeliveryError
            When a file is not the one that was catalogued, or is not sound; when gains lack.
        """
        found = [self._placed(piece) for piece in pieces]
        while len(self._open) > max(_MOST, len(pieces)):
            _, (stack, _) = self._open.popitem(last=False)
            stack.close()
        return found

    def _placed(self, piece: Piece) -> Member:
        """A scene, moved as the piece says."""
        known = self._known(piece)
        view = known.view if piece.terrain is None else replace(known.view, terrain=piece.terrain)
        view = scarred(view, piece.dead)
        for move in piece.moves:
            view = view.corrected(east=move.east, north=move.north, gain=move.gain, layer=move.layer)
        return Member(view, known.mask, piece.shade, *_line(piece.scales, view.bands))

    def _known(self, piece: Piece) -> Member:
        """A scene as it was delivered."""
        name = piece.scene.name
        if name not in self._open:
            with ExitStack() as stack:
                gains = self.gains.get(piece.scene.sensor)
                home = piece.home if self.room is None else self.room.home(piece.scene)
                level = piece.terrain or Terrain(height=0.0)
                view = stack.enter_context(
                    open_view(piece.scene, home, terrain=level, gains=gains, limits=self.limits)
                )
                mask = (
                    None
                    if piece.mask is None
                    else stack.enter_context(open_raster(piece.mask, limits=self.limits))
                )
                self._open[name] = stack.pop_all(), Member(view, mask)
        self._open.move_to_end(name)
        return self._open[name][1]

    def close(self) -> None:
        """Give every file back."""
        while self._open:
            _, (stack, _) = self._open.popitem()
            stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(
    scales: Sequence[Scale], bands: Sequence[str]
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """(band,) slope and offset of all lines, one after the other; None where there are none."""
    if not scales:
        return None, None
    slope, offset = np.ones(len(bands)), np.zeros(len(bands))
    for scale in scales:
        at = bands.index(scale.band)
        slope[at], offset[at] = scale.slope * slope[at], scale.slope * offset[at] + scale.offset
    return slope.astype(np.float32), offset.astype(np.float32)
