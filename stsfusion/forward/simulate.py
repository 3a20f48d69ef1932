"""Simulate: what three sensors would have seen of a true cube, as a problem with its truth.

Works date by date: beyond the truth and the observations only single dates are held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.forward.noise import CLOUD, Levels, add_noise, clouds, levels, relative, stream
from stsfusion.forward.optics import Shift, instrument, point_spread
from stsfusion.forward.protocol import Protocol
from stsfusion.fusion.problem import ROLES, Observation, Problem, Role, Target
from stsfusion.operators.blur import Blur
from stsfusion.operators.degradation import Degradation
from stsfusion.sensing.sensor import Sensor

__all__ = ["Protocol", "simulate"]

_STANDARD = Protocol()


def simulate(truth: Tensor, wavelengths: Tensor, days: Tensor, protocol: Protocol = _STANDARD) -> Problem:
    """What the protocol's sensors saw of a true cube.

    The views carry the nominal point spread functions: planted shifts and gains are nowhere in the problem.

    Parameters
    ----------
    truth
        (time, band, y, x) reflectance without gaps; rows and columns are multiples of the ratios, see
        `padding.pad_to_multiple`.
    wavelengths
        (band,) nm.
    days
        (time,) days since the first date, rising.

    Raises
    ------
    ProblemError
        When the truth has gaps, or a size, date or option does not fit.
    SensorError
        When the wavelengths cover no band of a sensor.
    """
    if not bool(torch.isfinite(truth).all()):
        raise ProblemError(
            "simulate, truth",
            expected="finite reflectance everywhere",
            got="NaN or infinity",
            mend="Fill the gaps first, or cut out an area without any.",
        )
    time, band, rows, cols = truth.shape
    protocol.refuse_strange_dates(time)
    target = Target((time, band, rows, cols), wavelengths, days)
    present = [role for role in ROLES if role == "rich" or getattr(protocol, role) is not None]
    seen = {role: _Camera.of(role, target, protocol).observe(truth.float()) for role in present}
    return Problem(target, truth=truth.float(), **seen)


@dataclass(frozen=True, eq=False)
class _Camera:
    """One role's instrument under one protocol."""

    role: Role
    """What the target takes from it."""

    sensor: Sensor | None
    """None: the target's own bands."""

    view: Degradation
    """What the problem is told: nominal optics, the dates that were seen."""

    target: Target
    """What it looks at."""

    protocol: Protocol
    """Its errors."""

    @classmethod
    def of(cls, role: Role, target: Target, protocol: Protocol) -> _Camera:
        """The sharp sensor is as sharp as the truth's grid; the others have the protocol's optics."""
        sensor = protocol.sensor(role)
        view = instrument(
            sensor,
            target.shape,
            target.wavelengths,
            dates=_kept(role, target.shape[0], protocol),
            ratio=protocol.ratio(role),
            psf="box" if role == "sharp" else protocol.psf,
        )
        return cls(role, sensor, view, target, protocol)

    def observe(self, truth: Tensor) -> Observation:
        """Look at every date of (time, band, y, x) that it sees."""
        time, band, rows, cols = self.view.out_shape
        data, valid = torch.empty(time, band, rows, cols), torch.empty(time, 1, rows, cols, dtype=torch.bool)
        variance = torch.zeros(band)
        for place, date in enumerate(self.view.dates):
            image = self._through(truth[date : date + 1], date) * self._gain(date)
            level = self._level(image)
            noisy = add_noise(image, level, self._stream("noise", date))
            cloudy = self._sky(date)
            data[place], valid[place] = noisy.masked_fill(cloudy, CLOUD), ~cloudy
            variance += level.total**2 / time
        return Observation(data, valid, self.view, variance.sqrt())

    def _stream(self, effect: str, date: int) -> np.random.Generator:
        return stream(self.protocol.seed, effect, self.role, date)

    def _through(self, true: Tensor, date: int) -> Tensor:
        """(band, y, x) of one date (1, band, y, x) through the true optics, misregistration and all."""
        spectral = self.view.spectral.with_shape((1, *self.view.in_shape[1:]))
        kernel, ratio = self.view.spatial.kernel, self.view.ratio
        if self.protocol.shift and self.role != "sharp":
            kernel = point_spread(self.protocol.psf, ratio, self._shift(date), sensor=self.sensor)
        seen: Tensor = Blur(kernel, ratio, spectral.out_shape)(spectral(true))[0]
        return seen

    def _shift(self, date: int) -> Shift:
        angle = self._stream("shift", date).uniform(0.0, 2.0 * math.pi)
        return self.protocol.shift * math.sin(angle), self.protocol.shift * math.cos(angle)

    def _gain(self, date: int) -> Tensor | float:
        """(band, 1, 1) factors; one for all but the dense sensor."""
        if self.role != "dense":
            return 1.0
        drawn = self._stream("gain", date).standard_normal(self.view.out_shape[1])
        return torch.from_numpy(1.0 + self.protocol.gain / 100.0 * drawn).float()[:, None, None]

    def _level(self, image: Tensor) -> Levels:
        if self.protocol.snr_db is not None:
            return relative(image, self.protocol.snr_db)
        return levels(self.role, self.target.wavelengths, len(image))

    def _sky(self, date: int) -> Tensor:
        """(y/r, x/r) bool, True on clouds; rich and sharp fly together, under one sky."""
        random = stream(self.protocol.seed, "clouds", "dense" if self.role == "dense" else "rich", date)
        share = self.protocol.share_of_clouds(self.role, date)
        return clouds(*self.target.shape[2:], self.view.ratio, share, random)


def _kept(role: Role, count: int, protocol: Protocol) -> list[int]:
    """The dates that are planned less those that are lost."""
    dates = protocol.dates(role, count)
    lost = protocol.lost.get(role, 0)
    if lost >= len(dates):
        raise ProblemError(
            f"protocol, lost dates of '{role}'", expected=f"fewer than its {len(dates)}", got=f"{lost}"
        )
    gone = stream(protocol.seed, "lost", role).choice(len(dates), lost, replace=False)
    return [date for place, date in enumerate(dates) if place not in gone]
