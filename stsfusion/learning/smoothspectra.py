"""Smooth spectra: all bands from a few broad ones, when no hyperspectral sensor tells how they go together.

::

    x̂ = m + C Rᵀ (R C Rᵀ + ε)⁻¹ (b − R m)        C: spectra that vary smoothly with wavelength

Source: Tikhonov (1963), in its Gaussian reading.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["expansion", "open_variance"]

_SMOOTH = 150.0
"""Distance in wavelength over which spectra vary, nm."""

_NOISE = 1e-3
"""Share of the bands' variance that is not believed."""


def expansion(response: Tensor, wavelengths: Tensor) -> Tensor:
    """(band, b) map from bands of a (b, band) response to spectra; the identity for the target's own bands.

    Its rows sum to one where the bands reach, so that a flat spectrum stays flat.
    """
    matrix = response.double()
    if matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(len(matrix)).to(matrix)):
        return matrix.float()
    alike = _alike(wavelengths).to(matrix)
    seen = matrix @ alike @ matrix.T
    loaded = seen + _NOISE * seen.diagonal().mean() * torch.eye(len(seen)).to(seen)
    back = alike @ matrix.T @ torch.linalg.inv(loaded)
    level = torch.full((len(alike), len(matrix)), 1.0 / len(matrix)).to(matrix)
    return (level + back @ (torch.eye(len(matrix)).to(matrix) - matrix @ level)).float()


def open_variance(response: Tensor, wavelengths: Tensor, pixels: Tensor) -> Tensor:
    """(band,) variance of spectra that bands of a (b, band) response leave open; zero for the target's own.

    As large as (b, n) pixels show, every band of which is told from the others; far from all bands as large,
    and nowhere larger, as spectra of their variance about their level leave there; of one band, as it varies.
    """
    matrix = response.double()
    if matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(len(matrix)).to(matrix)):
        return torch.zeros(len(wavelengths))
    values, alike = pixels.double().to(matrix), _alike(wavelengths).to(matrix)
    open_ = _left_open(matrix, wavelengths).diagonal()
    if len(matrix) == 1:
        return (open_ * values.var(correction=0)).float()
    found = []
    for band in range(len(matrix)):
        others = [each for each in range(len(matrix)) if each != band]
        said = matrix[band] @ expansion(matrix[others], wavelengths).double() @ values[others]
        left = matrix[band] @ _left_open(matrix[others], wavelengths) @ matrix[band]
        found.append((values[band] - said).square().mean() / left.clamp_min(1e-6))
    seen = matrix @ alike @ matrix.T
    about = (values - values.mean(0)).square().mean() / (seen.diagonal().mean() - seen.mean())
    scale = torch.stack(found).mean().maximum(about)
    return (scale * open_).minimum(about * (1.0 + seen.mean())).float()


def _alike(wavelengths: Tensor) -> Tensor:
    """(band, band) covariance of smooth spectra of unit variance."""
    nm = wavelengths.double()
    return torch.exp(-0.5 * ((nm[:, None] - nm[None]) / _SMOOTH).square())


def _left_open(matrix: Tensor, wavelengths: Tensor) -> Tensor:
    """(band, band) covariance of what smooth spectra of unit variance lie off their expansion."""
    off = torch.eye(len(wavelengths)).to(matrix) - expansion(matrix, wavelengths).double() @ matrix
    return off @ _alike(wavelengths).to(matrix) @ off.T
