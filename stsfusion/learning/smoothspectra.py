"""Smooth spectra: all bands from a few broad ones, when no hyperspectral sensor tells how they go together.

::

    x̂ = m + C Rᵀ (R C Rᵀ + ε)⁻¹ (b − R m)        C: spectra that vary smoothly with wavelength

Source: Tikhonov (1963), in its Gaussian reading.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["expansion", "open_variance", "picked"]

_SMOOTH = 150.0
"""Distance in wavelength over which spectra vary, nm."""

_NOISE = 1e-3
"""Share of the bands' variance that is not believed."""


def expansion(response: Tensor, wavelengths: Tensor) -> Tensor:
    """(band, b) map from bands of a (b, band) response to spectra; the target's own bands stay what they are.

    Its rows sum to one where the bands reach, so that a flat spectrum stays flat.
    """
    matrix = response.double()
    own = picked(matrix)
    if own is not None and len(own) == matrix.shape[1]:
        return matrix.T.float()
    alike = _alike(wavelengths).to(matrix)
    seen = matrix @ alike @ matrix.T
    loaded = seen + _NOISE * seen.diagonal().mean() * torch.eye(len(seen)).to(seen)
    back = alike @ matrix.T @ torch.linalg.inv(loaded)
    level = torch.full((len(alike), len(matrix)), 1.0 / len(matrix)).to(matrix)
    told = level + back @ (torch.eye(len(matrix)).to(matrix) - matrix @ level)
    if own is not None:
        told[own] = matrix[:, own].T
    return told.float()


def picked(response: Tensor) -> list[int] | None:
    """The target's bands that the rows of a response are, each another one; None where a row is a mixture."""
    ones = response == 1
    if not bool((ones.sum(1) == 1).all() and ((response == 0) | ones).all() and (ones.sum(0) <= 1).all()):
        return None
    return [int(band) for band in ones.int().argmax(1)]


def open_variance(response: Tensor, wavelengths: Tensor, pixels: Tensor) -> Tensor:
    """(band,) variance of spectra that bands of a (b, band) response leave open; zero for the target's own.

    As large as (b, n) pixels show, every band of which is told from the others; far from all bands as large,
    and nowhere larger, as spectra of their variance about their level leave there; of one band, as large as
    its values.
    """
    matrix = response.double()
    if len(picked(matrix) or ()) == matrix.shape[1]:
        return torch.zeros(len(wavelengths))
    values, alike = pixels.double().to(matrix), _alike(wavelengths).to(matrix)
    open_ = _left_open(matrix, wavelengths).diagonal()
    if len(matrix) == 1:
        return (open_ * values.square().mean()).float()
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
