"""Calibration: surface-like reflectance from at-sensor radiance, by means of the scene alone.

Top-of-atmosphere reflectance is read where the air is clear; the scene's own bare soil, which has no narrow
features, tells what the air took away in between:

    ρ(λ) = (r(λ) − p(λ)) · s(λ) / (r̄(λ) − p(λ))

with r the apparent reflectance, p the path's share (dark-object method), r̄ the mean of the scene's barest
pixels and s the same mean drawn straight from window to window. Absolute values carry the assumed height of
the sun. Where the air left less than 40 % of the light, spectra are drawn straight between the bands on
either side.

Source: Chavez (1988) for the dark object, Roberts, Yamaguchi & Lyon (1986) for the flat field; irradiance
from TSIS-1 HSRS (Coddington et al. 2021), means over 10 nm.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["apparent_reflectance", "flat_field"]

Array = NDArray[np.float64]

_SUN: dict[float, float] = {
    400: 1481, 440: 1859, 460: 2074, 500: 1967, 560: 1859, 620: 1677, 660: 1517, 680: 1499, 750: 1266,
    785: 1175, 865: 948, 1052: 655, 1601: 242, 1650: 223, 2132: 91, 2202: 81,
}  # fmt: skip
"""Solar irradiance at one astronomical unit, W m⁻² µm⁻¹, by wavelength, nm."""

_WINDOWS = (460, 500, 560, 620, 660, 680, 750, 785, 865, 1052, 1601, 1650, 2132, 2202)
"""Wavelengths, nm, at which the air is clear enough to read the ground."""

_DARK = {460: 0.02, 660: 0.03}
"""Reflectance, by wavelength, nm, of the darkest pixels: dense vegetation."""

_LIGHT = 0.4
"""Share of the light that a band must have kept to be read."""

_BARE = 0.10
"""Share of the pixels, those of the lowest vegetation index, that are taken for soil."""


def apparent_reflectance(radiance: Array, wavelengths: Array, zenith: float, distance: float) -> Array:
    """Top of the atmosphere: π L d² / (E cos θ).

    Parameters
    ----------
    radiance
        (band, y, x) W m⁻² sr⁻¹ µm⁻¹.
    wavelengths
        (band,) nm.
    zenith
        Of the sun, degrees.
    distance
        From the sun, astronomical units.
    """
    sun = np.interp(wavelengths, list(_SUN), list(_SUN.values()))
    factor = math.pi * distance**2 / math.cos(math.radians(zenith))
    return np.asarray(radiance * (factor / sun)[:, None, None])


def flat_field(apparent: Array, wavelengths: Array) -> Array:
    """Surface-like reflectance (band, y, x) from apparent reflectance, as in the module's formula."""
    soil = apparent[:, _bare(apparent, wavelengths)].mean(axis=1)
    path = np.minimum(_path(apparent, wavelengths), 0.9 * soil)
    known = [soil[_at(nm, wavelengths)] - path[_at(nm, wavelengths)] for nm in _WINDOWS]
    light = (soil - path) / np.interp(wavelengths, _WINDOWS, known)
    return _bridge((apparent - path[:, None, None]) / light[:, None, None], wavelengths, light >= _LIGHT)


def _bridge(cube: Array, wavelengths: Array, good: NDArray[np.bool_]) -> Array:
    """Replace bad bands of (band, y, x) by straight lines between their good neighbours in wavelength."""
    places = np.flatnonzero(good)[np.argsort(wavelengths[good])]
    for bad in np.flatnonzero(~good):
        after = int(np.clip(np.searchsorted(wavelengths[places], wavelengths[bad]), 1, len(places) - 1))
        left, right = places[after - 1], places[after]
        part = (wavelengths[bad] - wavelengths[left]) / (wavelengths[right] - wavelengths[left])
        cube[bad] = cube[left] + np.clip(part, 0.0, 1.0) * (cube[right] - cube[left])
    return cube


def _at(nm: float, wavelengths: Array) -> int:
    return int(np.argmin(np.abs(wavelengths - nm)))


def _bare(apparent: Array, wavelengths: Array) -> NDArray[np.bool_]:
    """(y, x) the pixels of the lowest normalised difference of 865 and 660 nm."""
    near, red = (apparent[_at(nm, wavelengths)] for nm in (865, 660))
    index = (near - red) / np.maximum(near + red, 1e-6)
    return np.asarray(index <= np.quantile(index, _BARE))


def _path(apparent: Array, wavelengths: Array) -> Array:
    """(band,) light that never reached the ground: c λ⁻ᵏ through two dark objects."""
    blue, red = _DARK
    lowest = {nm: float(np.quantile(apparent[_at(nm, wavelengths)], 0.005)) for nm in _DARK}
    excess = [max(lowest[nm] - dark, 1e-3) for nm, dark in _DARK.items()]
    power = math.log(excess[0] / excess[1]) / math.log(red / blue)
    return np.asarray(excess[0] * (wavelengths / blue) ** -power)
