"""Responses: how a cube's bands see the target's, by the instrument's curves or the cube's own labels.

::

    known       the curves themselves; a band outside the target's wavelengths is refused
    nominal     where each band looks is what counts, and tails are cut off; a band outside looks at nothing
"""

from __future__ import annotations

import warnings

import numpy as np
from xarray import DataArray

from stsfusion.errors import RecipeError
from stsfusion.sensing.sensor import Sensor
from stsfusion.sensing.spectra import SpectralResponse, gaussian

__all__ = ["responses"]

_TRACE = 0.01
"""Share of its largest weight above which a wavelength counts as covered by an instrument's band."""

_WIDTH = 1 / 16
"""The same for a Gaussian of a stated width: it is covered up to one width on either side of the centre."""


def responses(
    role: str, cube: DataArray, sensor: Sensor | None, nm: np.ndarray, fwhm: np.ndarray, known: bool
) -> np.ndarray:
    """(band', band) rows of unit sum, or of zeros where a nominal response lies outside the wavelengths.

    Parameters
    ----------
    sensor
        Whose curves; None: Gaussians of the cube's own `wavelength` and `fwhm`.
    nm, fwhm
        (band,) of the target, nm; a width that is not finite is not known.
    known
        Whether the curves are more than nominal.

    Raises
    ------
    SensorError
        When a band is not the sensor's, or a known response lies outside the target's wavelengths.
    RecipeError
        When there is neither an instrument nor a width for every band.

    Warns
    -----
    UserWarning
        Of the bands of a nominal response that lie outside the target's wavelengths.
    """
    curves = _own(role, cube) if sensor is None else sensor.response([str(n) for n in cube["band"].values])
    widths = fwhm if np.isfinite(fwhm).all() else None
    if known:
        return curves.matrix(nm, widths)
    inside = curves.covered(nm, widths)
    matrix = np.zeros((len(inside), len(nm)))
    if inside.any():
        found = curves.pick([n for n, seen in zip(curves.names, inside, strict=True) if seen])
        matrix[inside] = _cut(found.matrix(nm, widths), _WIDTH if sensor is None else _TRACE)
    if not inside.all():
        lost = ", ".join(n for n, seen in zip(curves.names, inside, strict=True) if not seen)
        warnings.warn(
            f"bands {lost} of cube '{role}' look where cube 'rich' has no bands ({nm.min():.0f} to "
            f"{nm.max():.0f} nm): only methods that need no common wavelengths make use of them",
            UserWarning,
            stacklevel=5,
        )
    return matrix


def _own(role: str, cube: DataArray) -> SpectralResponse:
    """Gaussians of the cube's own centres and widths."""
    names = tuple(str(name) for name in cube["band"].values)
    own = np.asarray(cube["fwhm"].values, float) if "fwhm" in cube.coords else np.full(len(names), np.nan)
    if not np.isfinite(own).all():
        raise RecipeError(
            f"role '{role}'",
            expected="an instrument, or a cube with a width for each band",
            got="neither",
            mend=f"Name the instrument under 'roles: {{{role}: …}}' (`stsfusion sensors` lists them), "
            "or give the cube a coordinate 'fwhm' on 'band', nm.",
        )
    centres = zip(cube["wavelength"].values, own, strict=True)
    return SpectralResponse(names, tuple(gaussian(float(c), float(w)) for c, w in centres))


def _cut(matrix: np.ndarray, trace: float) -> np.ndarray:
    """Rows of unit sum without what is less than this share of their largest weight."""
    kept = np.where(matrix >= trace * matrix.max(axis=1, keepdims=True), matrix, 0.0)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))
