"""Packed: a window of every cube as it lies in the store, two bytes a value, and the problem it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stsfusion.cube.packing import REFLECTANCE
from stsfusion.fusion.problem import Observation, Problem, Role, Target
from stsfusion.operators.degradation import Degradation

__all__ = ["Packed", "Seen", "unpacked"]


def unpacked(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Reflectance of counts, on their device, to the bit what `REFLECTANCE.unpack` gives.

    Parameters
    ----------
    counts
        (time, band, y, x) int16.

    Returns
    -------
    values
        float32, gaps 0.
    valid
        (time, band, y, x) bool, or (time, 1, y, x) where all bands agree.
    """
    known = counts != REFLECTANCE.gap
    values = counts.to(torch.float32).mul_(float(np.float32(REFLECTANCE.scale))).mul_(known)
    first = known[:, :1]
    return values, first if bool((known == first).all()) else known


@dataclass(frozen=True, eq=False)
class Seen:
    """What one sensor saw of a window."""

    counts: NDArray[np.int16]
    """(time', band', y/r, x/r) as stored."""

    view: Degradation
    """How the target became it."""

    noise: NDArray[np.float64] | None
    """(band',) standard deviation, reflectance; None: unknown."""

    def on(self, device: torch.device | str) -> Observation:
        """The observation on a device, where it is scaled."""
        values, valid = unpacked(torch.from_numpy(self.counts).to(device))
        noise = None if self.noise is None else torch.from_numpy(self.noise).float().to(device)
        return Observation(values, valid, self.view, noise)


@dataclass(frozen=True, eq=False)
class Packed:
    """A question on its way from the store to the device."""

    target: Target
    """What is asked."""

    seen: Mapping[Role, Seen | None]
    """By role; None where the sensor saw none of the window's dates."""

    def problem(self, device: torch.device | str = "cpu") -> Problem:
        """The problem on a device: counts travel there, two bytes a value where values and masks are five."""
        made = {role: None if seen is None else seen.on(device) for role, seen in self.seen.items()}
        return Problem(self.target).with_observations(made)
