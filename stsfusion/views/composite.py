"""Colour composites: three bands as red, green and blue on one common stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from stsfusion.views.palette import EMPTY
from stsfusion.views.sampling import thin

__all__ = [
    "FALSE",
    "GAMMA",
    "SWIR",
    "TRUE",
    "Choice",
    "Composite",
    "choose",
    "nearest_band",
    "paint",
    "stretch",
]

GAMMA = 0.75
"""Exponent after the stretch: fields keep their differences beside bright roofs."""


@dataclass(frozen=True)
class Composite:
    """Three wavelengths that are shown as red, green and blue."""

    title: str
    """What the composite is called."""

    wavelengths: tuple[float, float, float]
    """Red, green and blue channel, nm."""

    tolerance: float
    """How far a band may lie from its wavelength and still stand for it, nm."""


TRUE = Composite("True colour", (654.0, 559.0, 482.0), 30.0)
FALSE = Composite("False colour", (835.0, 656.0, 559.0), 30.0)
SWIR = Composite("Short-wave infrared", (2200.0, 1650.0, 835.0), 60.0)


@dataclass(frozen=True)
class Choice:
    """The bands of one cube that a composite takes."""

    bands: tuple[int, int, int]
    """Index along 'band' for red, green and blue."""

    wavelengths: tuple[float, float, float]
    """Their wavelengths, nm."""

    exact: bool
    """Whether each lies within the composite's tolerance."""

    @property
    def words(self) -> str:
        """What was used instead, when it was; else nothing."""
        used = list(dict.fromkeys(f"{wavelength:.0f}" for wavelength in self.wavelengths))
        if self.exact:
            return ""
        return f"grey: {used[0]} nm" if len(used) == 1 else f"shown: {', '.join(used)} nm"


def nearest_band(cube: xr.DataArray, wavelength: float) -> tuple[int, float]:
    """Index of the band nearest to a wavelength (nm), and that band's own wavelength."""
    own = np.asarray(cube["wavelength"].values, dtype=float)
    index = int(np.nanargmin(np.abs(own - wavelength)))
    return index, float(own[index])


def choose(cube: xr.DataArray, composite: Composite) -> Choice:
    """The cube's bands nearest to the composite's wavelengths, and whether they are near enough.

    When two channels would fall on one band the composite would mislead: the band nearest to the
    middle channel is then shown in grey.
    """
    pairs = [nearest_band(cube, wavelength) for wavelength in composite.wavelengths]
    if len({index for index, _ in pairs}) < 3:
        pairs = [pairs[1]] * 3
    reds, own = zip(*pairs, strict=True)
    near = np.abs(np.subtract(own, composite.wavelengths)) <= composite.tolerance
    return Choice(reds, own, bool(near.all()))


def stretch(reference: xr.DataArray, wavelengths: tuple[float, ...]) -> NDArray[np.float64]:
    """(channel, 2) reflectance shown as black and as full brightness: 2nd and 98th percentile over all dates.

    Parameters
    ----------
    reference
        (time, band, y, x) from which the percentiles come.
    wavelengths
        nm; the reference's nearest bands are taken.
    """
    bands = [nearest_band(reference, wavelength)[0] for wavelength in wavelengths]
    values = np.asarray(thin(reference, 256).isel(band=bands).values, dtype=float)
    return np.stack([_limits(values[:, i]) for i in range(len(bands))])


def _limits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
    return np.array([low, max(high, low + 0.005)])


def paint(image: xr.DataArray, choice: Choice, limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(y, x, 3) between 0 and 1; pixels with a gap in any channel take the colour of the empty sheet.

    Parameters
    ----------
    image
        (band, y, x) reflectance.
    limits
        (3, 2) from `stretch`.
    """
    values = np.asarray(image.isel(band=list(choice.bands)).values, dtype=float)
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    colours = np.clip((values - low) / (high - low), 0, 1) ** GAMMA
    colours[:, ~np.isfinite(values).all(axis=0)] = np.array(to_rgb(EMPTY))[:, None]
    return np.moveaxis(colours, 0, -1)
