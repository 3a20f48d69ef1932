"""Signal: how noisy every band is, and how many components of a scene stand above the noise.

Made for few pixels: a small coarse image has hardly more pixels than bands, too few to regress each band on
all others, and enough to regress it on its two neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from stsfusion.learning.subspace import Subspace

__all__ = ["neighbour_noise", "sampled_noise", "signal_space", "texture_noise"]

_MASK = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
"""Puts out planes and straight edges along the axes; white noise of one unit comes out as six."""


def neighbour_noise(pixels: Tensor, wavelengths: Tensor) -> Tensor:
    """What of every band its two neighbours in the spectrum cannot tell, as a standard deviation.

    x_b ≈ w₁ x_c + w₂ x_d by least squares; the residual holds the noise of all three, so that
    σ_b² = ‖x_b − w₁ x_c − w₂ x_d‖² / ((n − 3)(1 + w₁² + w₂²)).

    Parameters
    ----------
    pixels
        (n, L) reflectance.
    wavelengths
        (L,) nm, in any order.

    Returns
    -------
    Tensor
        (L,) double precision; an upper bound where neighbours differ by more than noise.

    Source: after Roger and Arnold (1996), across bands alone.
    """
    count, bands = pixels.shape
    if bands < 3:
        return torch.zeros(bands, dtype=torch.float64, device=pixels.device)
    order = wavelengths.argsort()
    x = pixels[:, order].double()
    centred = x - x.mean(0)
    places = torch.arange(bands, device=pixels.device)
    beside = torch.stack([places - 1, places + 1], 1)
    beside[0], beside[-1] = torch.tensor([1, 2]), torch.tensor([bands - 3, bands - 2])
    near = centred[:, beside].permute(1, 0, 2)
    gram = near.transpose(1, 2) @ near
    load = 1e-10 * gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)
    gram = gram + load[:, None, None] * torch.eye(2).to(gram)
    weights = torch.linalg.solve(gram, near.transpose(1, 2) @ centred.T[:, :, None])
    left = (centred.T[:, :, None] - near @ weights).square().sum((1, 2))
    variance = left / max(count - 3, 1) / (1.0 + weights.square().sum((1, 2)))
    return torch.empty_like(variance).index_copy_(0, order, variance.sqrt())


def signal_space(
    pixels: Tensor,
    wavelengths: Tensor,
    noise: Tensor | None = None,
    rank: int | None = None,
    most: int = 40,
) -> Subspace:
    """Principal components of the noise-whitened pixels, as many as stand above the noise.

    n pixels of white noise of unit variance in L bands have no component above (1 + √(L/n))².

    Parameters
    ----------
    pixels
        (n, L) reflectance.
    wavelengths
        (L,) nm.
    noise
        (L,) standard deviation, reflectance; None: `neighbour_noise`.
    rank
        Components to keep; None: those above the noise, one at least.
    most
        The most that are kept when the noise decides.

    Raises
    ------
    ProblemError
        When there are fewer than two pixels.

    Source: Marchenko and Pastur (1967), the upper edge of the spectrum.
    """
    count, bands = pixels.shape
    known = neighbour_noise(pixels, wavelengths) if noise is None else noise
    space = Subspace.learn([pixels], rank=most if rank is None else rank, noise=known)
    if rank is not None:
        return space
    whitened = (space.basis / space.noise).double().square().sum(1)
    keep = max(1, int((whitened > (1.0 + math.sqrt(bands / count)) ** 2).sum()))
    return Subspace(space.mean, space.basis[:keep], space.analysis[:, :keep], space.noise)


def sampled_noise(power: Tensor, noise: Tensor, ratio: float) -> Tensor:
    """Variance of the noise in scores of components that were learned from the very pixels they are of.

    Components that are hardly signal turn to where the noise of these pixels happens to be largest, if they
    were weighted by that noise:

    noise · (c² + (1 − c²) · min(power / noise, (1 + √γ)²)), c the cosine to the component of endless pixels,
    c² = (1 − γ/t²) / (1 + γ/t) where power / noise = (1 + t)(1 + γ/t), none below (1 + √γ)².

    Parameters
    ----------
    power
        (p,) mean square of the scores.
    noise
        (p,) variance that the noise of fresh pixels has in them.
    ratio
        γ, bands over pixels.

    Returns
    -------
    Tensor
        (p,) at most the power.

    Source: Paul (2007), theorems 1 and 4; below the edge Marchenko and Pastur (1967).
    """
    edge = (1.0 + math.sqrt(ratio)) ** 2
    level = power / noise.clamp_min(1e-300)
    half = 0.5 * (level.clamp_min(edge) - 1.0 - ratio)
    above = half + (half.square() - ratio).clamp_min(0.0).sqrt()
    cosine = (1.0 - ratio / above.square()) / (1.0 + ratio / above)
    cosine = torch.where(level > edge, cosine.clamp(0.0, 1.0), 0.0)
    return noise * (cosine + (1.0 - cosine) * level.clamp_max(edge))


def texture_noise(images: Sequence[Tensor]) -> Tensor:
    """What of the finest texture of every band the other bands cannot tell, as a standard deviation.

    Texture is common to bands, noise is not. Each band, under a mask that lets the finest texture through, is
    regressed on all others; residuals hold the noise of all: σ_b² = ‖r_b‖² / (36 n (1 + Σ w²)).

    Parameters
    ----------
    images
        (l, H, W) reflectance; those of less than three pixels a side are passed over.

    Returns
    -------
    Tensor
        (l,) double precision; an upper bound where texture differs from band to band.

    Source: the mask is that of Immerkær (1996), doi:10.1006/cviu.1996.0060.
    """
    bands = len(images[0])
    mask = torch.tensor(_MASK, dtype=torch.float64, device=images[0].device)[None, None]
    gram, count = mask.new_zeros(bands, bands), 0
    for image in images:
        if min(image.shape[1:]) < 3:
            continue
        texture = conv2d(image.double()[:, None], mask).flatten(1)
        gram, count = gram + texture @ texture.T, count + texture.shape[1]
    power = gram.diagonal().clamp_min(1e-30)
    inverse = torch.linalg.inv(gram + 1e-9 * torch.diag(power))
    weights = inverse / inverse.diagonal()
    # The residual of a band on all others is 1 / (G⁻¹)_bb, its weights are −(G⁻¹)_ab / (G⁻¹)_bb.
    variance = inverse.diagonal().reciprocal() / weights.square().sum(0) / (36.0 * max(count, 1))
    return variance.sqrt()
