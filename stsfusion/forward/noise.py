"""Noise: what goes wrong between the ground and the product, drawn from a stream for every cause."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stsfusion.fusion.problem import Role

__all__ = ["CLOUD", "Levels", "add_noise", "clouds", "levels", "relative", "smooth", "stream"]

CLOUD = 0.6
"""Reflectance of a cloud in every band, so that whoever ignores a mask is punished for it."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Standard deviations of what is added to an image."""

    white: Tensor
    """(band,) independent for each pixel, reflectance."""

    stripes: Tensor
    """(band,) one value for each column, reflectance."""

    @property
    def total(self) -> Tensor:
        """(band,) of both together, reflectance."""
        return torch.hypot(self.white, self.stripes)


def levels(role: Role, wavelengths: Tensor, bands: int) -> Levels:
    """Noise of the standard protocol.

    Rich: 0.002 and, above 1000 nm, 0.004; striping 0.0008 and, above 1900 nm, 0.003. Sharp and dense: 0.002.

    Parameters
    ----------
    wavelengths
        (band,) of the target, nm; they are rich's own.
    bands
        The role's number of bands.
    """
    if role != "rich":
        return Levels(torch.full((bands,), 0.002), torch.zeros(bands))
    white = torch.where(wavelengths > 1000.0, 0.004, 0.002)
    return Levels(white.float(), torch.where(wavelengths > 1900.0, 0.003, 0.0008).float())


def relative(image: Tensor, snr_db: float) -> Levels:
    """White noise of this signal-to-noise ratio, 20 log10(rms / σ) = snr, for each band of (band, y, x)."""
    power = image.double().square().mean((1, 2)).sqrt() * 10.0 ** (-snr_db / 20.0)
    return Levels(power.float(), torch.zeros(len(image)))


def stream(seed: int, effect: str, role: str, date: int = 0) -> np.random.Generator:
    """Random numbers of one cause alone: more dates or another option leave all others as they were."""
    return np.random.default_rng([seed, zlib.crc32(f"{effect} {role}".encode()), date])


def add_noise(image: Tensor, level: Levels, random: np.random.Generator) -> Tensor:
    """(band, y, x) with white noise and column striping."""
    bands, rows, cols = image.shape
    white = torch.from_numpy(random.standard_normal((bands, rows, cols), dtype=np.float32))
    stripes = torch.from_numpy(random.standard_normal((bands, 1, cols), dtype=np.float32))
    return image + white * level.white[:, None, None] + stripes * level.stripes[:, None, None]


def clouds(rows: int, cols: int, ratio: int, share: float, random: np.random.Generator) -> Tensor:
    """(y/r, x/r) bool, True on blobs that cover this share of the pixels.

    A smooth random field over the target's grid is averaged to the sensor's pixels and cut at its quantile,
    so that two sensors that look at the same field see the same clouds.
    """
    field = smooth(torch.from_numpy(random.standard_normal((rows, cols))), max(2.0, min(rows, cols) / 12))
    coarse = field.reshape(rows // ratio, ratio, cols // ratio, ratio).mean((1, 3))
    count = round(share * coarse.numel())
    mask = torch.zeros(coarse.numel(), dtype=torch.bool)
    mask[coarse.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mask.reshape(coarse.shape)


def smooth(noise: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of this standard deviation, pixels, periodic at the edges."""
    fy, fx = torch.fft.fftfreq(noise.shape[0]), torch.fft.rfftfreq(noise.shape[1])
    power = (fy[:, None] ** 2 + fx[None] ** 2).double()
    passed = torch.exp(-2.0 * (math.pi * sigma) ** 2 * power)
    smooth: Tensor = torch.fft.irfft2(torch.fft.rfft2(noise) * passed, s=noise.shape)
    return smooth
