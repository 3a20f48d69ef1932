"""Multispectral: the bands of a sharp image of a scene, how they weigh the spectrum, and what is told of it.

A blind method is told a band's coverage alone: its weights are the same over all wavelengths that it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stsfusion.errors import SensorError
from stsfusion.pipeline.scene import Partner, Scene
from stsfusion.sensing.sensor import Sensor, load_sensor

__all__ = ["Multispectral", "covered_by", "seen_by"]

_TRACE = 0.01
"""Share of its largest weight above which a wavelength counts as covered by a band."""


@dataclass(frozen=True, eq=False)
class Multispectral:
    """The bands of a sharp image of one scene."""

    names: tuple[str, ...]
    """(band',) as in the sensor's products; numbers where they have none."""

    coverage: Tensor
    """(band', band) bool: the wavelengths that a band covers."""

    weights: Tensor
    """(band', band) responses, rows of unit sum; the same as `uniform` where nobody knows them."""

    notes: tuple[str, ...] = ()
    """What was left out, in words."""

    @property
    def uniform(self) -> Tensor:
        """(band', band) equal weights over the coverage, rows of unit sum, or zero where it is empty."""
        return _uniform(self.coverage)


def _uniform(coverage: Tensor) -> Tensor:
    inside = coverage.double()
    return inside / inside.sum(1, keepdim=True).clamp_min(1.0)


def seen_by(sensor_name: str, scene: Scene, bands: Sequence[str] | None = None) -> Multispectral:
    """What a catalog's sensor would see of a scene.

    Parameters
    ----------
    bands
        By name; None: all for images of the ground that the scene's wavelengths cover.

    Raises
    ------
    SensorError
        When there is no such sensor or band, or the scene does not cover a band that was named, or any.
    """
    sensor = load_sensor(sensor_name)
    asked = tuple(sensor.usable if bands is None else bands)
    covered = sensor.response(asked).covered(scene.wavelengths, scene.fwhm)
    kept = tuple(name for name, seen in zip(asked, covered, strict=True) if seen)
    lost = [name for name in asked if name not in kept]
    if not kept or (lost and bands is not None):
        raise _uncovered(sensor, scene, lost)
    weights = torch.from_numpy(sensor.response(kept).matrix(scene.wavelengths, scene.fwhm))
    coverage = weights > _TRACE * weights.amax(1, keepdim=True)
    note = f"{scene.name}: bands {', '.join(lost)} of {sensor.name} are left out: {_span(scene)}"
    return Multispectral(kept, coverage, weights, (note,) if lost else ())


def _span(scene: Scene) -> str:
    return f"the scene has {scene.wavelengths.min():.0f} to {scene.wavelengths.max():.0f} nm"


def _uncovered(sensor: Sensor, scene: Scene, lost: Sequence[str]) -> SensorError:
    return SensorError(
        f"bands {', '.join(lost)} of {sensor.name}",
        expected=f"wavelengths of {scene.name} that cover them",
        got=_span(scene).removeprefix("the scene has "),
        mend="Leave these bands out with --bands, or choose another sensor with --msi.",
    )


def covered_by(partner: Partner, scene: Scene) -> Multispectral:
    """What is known of a real image's bands: where they begin and end."""
    nm = scene.wavelengths
    inside: NDArray[np.bool_] = (nm >= partner.low[:, None]) & (nm <= partner.high[:, None])
    names = tuple(str(i + 1) for i in range(len(inside)))
    blind = [name for name, row in zip(names, inside, strict=True) if not row.any()]
    said = f"{partner.name}: bands {', '.join(blind)} cover no wavelength of {scene.name}: zero responses"
    coverage = torch.from_numpy(inside)
    return Multispectral(names, coverage, _uniform(coverage), (said,) if blind else ())
