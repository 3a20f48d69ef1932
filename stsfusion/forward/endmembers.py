"""Endmembers: the pure spectra of a scene, how much of each a pixel holds, the scene without noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["abundances", "denoise", "extract", "noise_level", "smoothing"]

Array = NDArray[np.float32]

_PURE = 0.001
"""Share of the pixels, around an extreme one, whose mean is an endmember: one pixel alone is noise."""


def noise_level(cube: Array) -> Array:
    """(band,) standard deviation of white noise in (band, y, x), from second differences along rows.

    The median of |x₋ − 2 x + x₊| is blind to edges; for Gaussian noise it is 0.6745 √6 σ.
    """
    bend = cube[:, :, :-2] - 2 * cube[:, :, 1:-1] + cube[:, :, 2:]
    level = np.median(np.abs(bend), axis=(1, 2)) / (0.6745 * np.sqrt(6.0))
    return np.maximum(level, 1e-6).astype(np.float32)


def denoise(cube: Array, most: int = 24) -> Array:
    """Project (band, y, x) on the subspace that stands out of the noise.

    Bands are divided by their noise; of the covariance's eigenvectors those are kept whose variance is above
    twice that of the noise, `most` at the utmost.
    """
    sigma = noise_level(cube)[:, None]
    flat = cube.reshape(len(cube), -1) / sigma
    mean = flat.mean(axis=1, keepdims=True)
    variance, basis = np.linalg.eigh(np.cov(flat))
    kept = basis[:, variance > 2.0][:, -most:].astype(np.float32)
    clean = kept @ (kept.T @ (flat - mean)) + mean
    return np.asarray((clean * sigma).reshape(cube.shape), dtype=np.float32)


def smoothing(wavelengths: NDArray[np.float64], width: float = 12.0) -> Array:
    """(band, band) weights of a local straight line in wavelength under a Gaussian of this deviation, nm.

    Keeps straight spectra as they are, at the ends as well; damps what is narrower than materials' features.
    """
    apart = wavelengths[None] - wavelengths[:, None]
    weight = np.exp(-0.5 * (apart / width) ** 2)
    zero, one, two = ((weight * apart**power).sum(axis=1, keepdims=True) for power in range(3))
    return np.asarray(weight * (two - apart * one) / (zero * two - one**2), dtype=np.float32)


def extract(spectra: Array, count: int, random: np.random.Generator) -> Array:
    """(count, band) extreme spectra of (pixel, band), by vertex component analysis.

    In the subspace of the first `count` principal directions a random direction orthogonal to all endmembers
    found so far is drawn; the pixels that reach farthest along it are the next endmember.

    Source: Nascimento & Bioucas-Dias (2005), doi:10.1109/TGRS.2005.844293.
    """
    _, _, axes = np.linalg.svd(spectra.T @ spectra, hermitian=True)
    axes = axes * np.where(axes.sum(axis=1) < 0, -1, 1)[:, None].astype(
        np.float32
    )  # whichever way LAPACK points
    scores = spectra @ axes[:count].T
    scores = scores / np.maximum(scores @ scores.mean(axis=0), 1e-6)[:, None]
    group = max(1, round(_PURE * len(spectra)))
    found: list[Array] = []
    corners = np.zeros((count, count))
    for place in range(count):
        direction = random.standard_normal(count)
        direction -= corners.T @ (np.linalg.pinv(corners.T) @ direction) if place else 0.0
        reach = np.abs(scores @ direction)
        chosen = np.argpartition(reach, -group)[-group:]
        corners[place] = scores[chosen].mean(axis=0)
        found.append(spectra[chosen].mean(axis=0))
    return np.stack(found)


def abundances(spectra: Array, endmembers: Array, steps: int = 300) -> Array:
    """(pixel, endmember) a ≥ 0 that minimise ‖s − a E‖² for each pixel of (pixel, band).

    Projected gradients with momentum, a fixed number of steps. Source: Beck & Teboulle (2009).
    """
    gram = endmembers @ endmembers.T
    target = spectra @ endmembers.T
    rate = 1.0 / np.linalg.eigvalsh(gram)[-1]
    now = ahead = np.zeros_like(target)
    momentum = 1.0
    for _ in range(steps):
        after = np.maximum(ahead - rate * (ahead @ gram - target), 0.0)
        grown = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = after + np.float32((momentum - 1.0) / grown) * (after - now)
        now, momentum = after, grown
    return np.asarray(now, dtype=np.float32)
