"""Optics: how an instrument turns the target into its own pixels and bands.

::

    fine      | 0 | 1 | 2 | 3 | 4 | 5 |       ratio 3, shift (0, +1): the footprint of pixel 0
    nominal   |     0     |     1     |       lies one fine pixel to the right of its block
    shifted       |     0     |     1     |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stsfusion.errors import ProblemError, SensorError, nearest
from stsfusion.operators.blur import bilinear_kernel, box_kernel, gaussian_kernel, mtf_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape

if TYPE_CHECKING:
    from stsfusion.sensing.sensor import Sensor

__all__ = ["PSFS", "Shift", "instrument", "point_spread", "seen_bands", "shifted"]

Shift = tuple[float, float]
"""(down, right) by which footprints lie off their blocks, fine pixels, fractions allowed."""

PSFS = ("optics", "gaussian", "bilinear", "box")
"""Point spread functions by name; 'gaussian:2.5' sets the full width at half maximum, in fine pixels."""

_WIDEST = 16
"""Widest Gaussian, coarse pixels; anything wider is no image of anything, and its kernel fills the memory."""

_OVERSAMPLING = 16
"""Samples a fine pixel when optics and resampling are convolved."""


def instrument(
    sensor: Sensor | None,
    shape: Shape,
    wavelengths: Tensor,
    *,
    dates: list[int] | None = None,
    ratio: int = 1,
    psf: str | Tensor = "optics",
    shift: Shift = (0.0, 0.0),
    bands: Sequence[str] | None = None,
    pixel: float | None = None,
) -> Degradation:
    """What a sensor keeps of a target of this shape.

    Parameters
    ----------
    sensor
        The instrument; None: one that has the target's own bands.
    shape
        (time, band, y, x) of the target.
    wavelengths
        (band,) centres of the target's bands, nm.
    dates
        Indices of the target's dates that it saw; None: all.
    ratio
        Target pixels along one side of one of its pixels.
    psf, shift, pixel
        See `point_spread`.
    bands
        Its bands by name; None: all that the target's wavelengths cover.

    Raises
    ------
    SensorError
        When no wavelength covers a band that was asked for, or any band at all.
    ProblemError
        When the ratio does not divide the target, or there is no such point spread function.
    """
    kernel = point_spread(psf, ratio, shift, sensor=sensor, pixel=pixel)
    spectral = None if sensor is None else _response(sensor, wavelengths, bands)
    return Degradation.of(shape, dates=dates, spectral=spectral, kernel=kernel, ratio=ratio)


def seen_bands(sensor: Sensor, wavelengths: Tensor) -> list[str]:
    """Names of the sensor's bands that these wavelengths (nm) cover, in its own order.

    Raises
    ------
    SensorError
        When they cover none.
    """
    covered = sensor.response().covered(_numbers(wavelengths))
    names = [band.name for band, seen in zip(sensor.bands, covered, strict=True) if seen]
    if not names:
        raise SensorError(
            f"sensor '{sensor.name}'",
            expected="wavelengths that cover at least one of its bands",
            got=f"{float(wavelengths.min()):.0f} to {float(wavelengths.max()):.0f} nm",
            mend="Choose a sensor of this part of the spectrum, or check that the wavelengths are in nm.",
        )
    return names


def _response(sensor: Sensor, wavelengths: Tensor, bands: Sequence[str] | None) -> Tensor:
    chosen = seen_bands(sensor, wavelengths) if bands is None else list(bands)
    return torch.from_numpy(sensor.response(chosen).matrix(_numbers(wavelengths)))


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.tolist(), dtype=np.float64)


def point_spread(
    psf: str | Tensor,
    ratio: int,
    shift: Shift = (0.0, 0.0),
    *,
    sensor: Sensor | None = None,
    pixel: float | None = None,
) -> Tensor:
    """(ky, kx) kernel of unit sum on the target's grid, double precision.

    Parameters
    ----------
    psf
        'optics': the Gaussian of the sensor's modulation at Nyquist; 'gaussian': of full width `ratio`;
        'gaussian:WIDTH': of that full width, fine pixels, at most 16 coarse ones; 'bilinear': the triangle of
        antialiased downsampling; 'box': plain averaging; or a kernel, odd or even in size as the ratio is.
    ratio
        Target pixels along one side of a coarse pixel.
    shift
        Where the footprints truly lie. Gaussians move exactly, other kernels by linear interpolation.
    sensor
        Whose optics; only 'optics' asks for it.
    pixel
        The target's pixel, m. With it 'optics' knows an instrument that was resampled because its own pixel
        is not `ratio` times the target's: 16 m on a 10 m grid.

    Raises
    ------
    ProblemError
        When there is no such point spread function, or 'optics' without a sensor.
    """
    if isinstance(psf, Tensor):
        return shifted(psf.double() / psf.double().sum(), shift)
    name, _, width = psf.partition(":")
    if name == "gaussian":
        return gaussian_kernel(_width(psf, width, ratio), ratio, shift)
    if name == "optics" and sensor is not None and not width:
        return _optics(sensor, ratio, shift, pixel)
    plain = {"bilinear": bilinear_kernel, "box": box_kernel}
    if psf not in plain:
        known = ", ".join(PSFS)
        mend = "Give the sensor whose optics are meant." if psf == "optics" else nearest(name, PSFS)
        raise ProblemError("point spread function", expected=f"one of {known}", got=f"'{psf}'", mend=mend)
    return shifted(plain[psf](ratio), shift)


def _width(psf: str, width: str, ratio: int) -> float:
    try:
        fwhm = float(width or ratio)
    except ValueError:
        fwhm = math.nan
    if not 0.0 < fwhm <= _WIDEST * ratio:
        raise ProblemError(
            "point spread function",
            expected="'gaussian:' and a full width at half maximum in fine pixels, "
            f"at most {_WIDEST * ratio} at the ratio {ratio}",
            got=f"'{psf}'",
            mend="Write 'gaussian:2.5', say.",
        )
    return fwhm


def _optics(sensor: Sensor, ratio: int, shift: Shift, pixel: float | None) -> Tensor:
    mtf = sensor.optics.mtf
    native = float(ratio) if pixel is None else sensor.pixel / pixel
    if math.isclose(native, ratio, rel_tol=1e-6):
        return mtf_kernel(mtf, ratio, shift)
    return _resampled(mtf, native, ratio, shift)


def _resampled(mtf: float, native: float, ratio: int, shift: Shift) -> Tensor:
    """Gaussian of `mtf` at the instrument's own Nyquist, convolved with the interpolation to another grid.

    Interpolating samples of pitch p linearly is, averaged over their phase, a convolution with the triangle
    of half-width p.

    Parameters
    ----------
    native
        The instrument's own pixel, in target pixels.
    """
    sigma = native / math.pi * math.sqrt(-2.0 * math.log(mtf))
    half = math.ceil(3.5 * sigma + native + max(abs(s) for s in shift))
    size = 2 * half + ratio % 2
    fine = np.arange(-half * _OVERSAMPLING, half * _OVERSAMPLING + 1) / _OVERSAMPLING
    triangle = np.clip(1.0 - np.abs(fine) / native, 0.0, None)
    blurred = np.convolve(np.exp(-0.5 * (fine / sigma) ** 2), triangle, mode="same")
    centres = np.arange(size) - (size - 1) / 2
    y, x = (np.interp(centres - s, fine, blurred) for s in shift)
    return torch.from_numpy(np.outer(y, x) / (y.sum() * x.sum()))


def shifted(kernel: Tensor, shift: Shift) -> Tensor:
    """A kernel moved (down, right) by linear interpolation; grows by the same number on all sides."""
    down, right = (_move(size, s) for size, s in zip(kernel.shape, shift, strict=True))
    return down.to(kernel) @ kernel @ right.to(kernel).T


def _move(size: int, shift: float) -> Tensor:
    """(size + 2p, size) weights that move a profile by `shift`."""
    grow = math.ceil(abs(shift))
    places = torch.arange(size + 2 * grow, dtype=torch.float64)[:, None] - grow - shift
    return (1.0 - (places - torch.arange(size, dtype=torch.float64)).abs()).clamp_min(0.0)
