"""Timed: a sensor's series as it was learned, and how it comes to the dates of another problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.fusion.timeline import date_weights
from stsfusion.learning.changes import Changes
from stsfusion.learning.sighting import Dates, place_of

__all__ = ["Timed"]


@dataclass(frozen=True, eq=False)
class Timed:
    """A sensor's series as it was learned: which dates, mended how, and how it comes to fine pixels."""

    days: Tensor
    """(t,) of the dates."""

    shift: Tensor
    """(t, 2) see `Dates`."""

    gain: Tensor
    """(t, b) see `Dates`."""

    changes: Changes
    """Of these dates, in their order."""

    @property
    def dates(self) -> Dates:
        """Without the changes."""
        return Dates(self.days, self.shift, self.gain)

    def of_dates(self, days: Tensor) -> Changes:
        """The changes of a problem's own dates; one that was not learned starts between those about it."""
        own = [place_of(self.days, day) for day in days.tolist()]
        if own == list(range(len(self.days))):
            return self.changes
        c = self.changes
        valid = torch.ones(len(self.days), 1, 1, 1, dtype=torch.bool, device=self.days.device)
        known = [
            self.days[place].item() if place is not None else day
            for place, day in zip(own, days.tolist(), strict=True)
        ]
        weights = date_weights(valid, self.days, torch.tensor(known).to(self.days))[..., 0, 0, 0].to(c.slope)
        slope, offset = torch.einsum("at,tqb->aqb", weights, c.slope), weights @ c.offset
        new = torch.tensor([p is None for p in own], device=c.spread.device)
        spread = torch.where(new[:, None], c.spread.amax(0) * 3.0, weights @ c.spread)
        return replace(c, slope=slope, offset=offset, spread=spread)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        own = {"days": self.days, "shift": self.shift, "gain": self.gain}
        return {**own, **{f"changes_{name}": t for name, t in self.changes.tensors().items()}}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        changes = {n.removeprefix("changes_"): t for n, t in tensors.items() if n.startswith("changes_")}
        return cls(tensors["days"], tensors["shift"], tensors["gain"], Changes.of(changes))
