"""Estimation of response and point spread function as HySure does it, for comparison with its own tables.

Both images are first blurred so strongly that the point spread function does not matter; the response
follows by least squares with a difference penalty inside each band's coverage; then the kernel, on patches,
with a difference penalty, scaled to unit sum (and the response by the same).

Source: Simões, Bioucas-Dias, Almeida and Chanussot (2015), sec. IV, eqs. 24 to 28.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from stsfusion.operators.overlap import Overlap
from stsfusion.operators.pairmodel import PairModel

__all__ = ["estimate_hysure", "hysure_response"]

_BLUR = 9
"""Fine pixels along one side of the strong box blur."""

_GROUND = 1e-10
"""Share of the mean power that is added to every unknown's, so that an empty image has an answer too."""


def hysure_response(
    overlaps: Sequence[Overlap], coverage: Tensor, ratio: int, smooth: float = 10.0
) -> Tensor:
    """(l, L) responses, not constrained in sign, zero outside the coverage.

    Parameters
    ----------
    overlaps, coverage, ratio
        As for `estimate`.
    smooth
        λ_R, weight of the squared first differences along wavelength, relative to data whose root mean square
        is one.
    """
    side = max(1, round(_BLUR / ratio)) | 1
    gram = cross = torch.zeros(0)
    for overlap in overlaps:
        fine = _box(avg_pool2d(overlap.fine[None].double(), ratio)[0], side)[:, overlap.usable]
        coarse = _box(overlap.coarse.double(), side)[:, overlap.usable]
        pieces = coarse @ coarse.T, coarse @ fine.T
        gram, cross = pieces if not len(gram) else (gram + pieces[0], cross + pieces[1])
    gram, cross = gram.cpu(), cross.cpu()
    power = gram.diagonal().mean().clamp_min(1e-30)
    level = power / max(sum(int(o.usable.sum()) for o in overlaps), 1)
    response = torch.zeros(coverage.shape, dtype=torch.float64)
    for band in range(len(coverage)):
        inside = coverage[band].cpu().nonzero()[:, 0]
        if len(inside):
            held = gram[inside][:, inside] + smooth * level * _differences(inside)
            held += _GROUND * power * torch.eye(len(inside), dtype=torch.float64)
            response[band, inside] = torch.linalg.solve(held, cross[inside, band])
    return response


def estimate_hysure(
    overlaps: Sequence[Overlap], coverage: Tensor, ratio: int, smooth: float = 10.0, size: int | None = None
) -> PairModel:
    """Response first, then a kernel of unit sum on a support of `size` (default: the ratio) fine pixels."""
    response = hysure_response(overlaps, coverage, ratio, smooth)
    k = ratio if size is None else size
    gram = torch.zeros(k * k, k * k, dtype=torch.float64)
    rhs, scale = torch.zeros(k * k, dtype=torch.float64), 0.0
    for overlap in overlaps:
        patches, told = _patches(overlap, coverage, response, ratio, k)
        gram, rhs = gram + (patches.T @ patches).cpu(), rhs + (patches.T @ told).cpu()
        scale += float(patches.square().mean()) if len(patches) else 0.0
    held = gram + smooth * scale / len(overlaps) * _roughness(k)
    held += _GROUND * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(k * k, dtype=torch.float64)
    kernel = torch.linalg.solve(held, rhs).reshape(k, k)
    gain = kernel.sum()
    if not float(gain) > 0:
        kernel, gain = torch.ones_like(kernel) / k**2, torch.ones_like(gain)
    model = PairModel(kernel / gain, response / gain, torch.zeros(len(response)), torch.zeros(2), ratio)
    return replace(model, misfit=rms_misfit(overlaps, model))


def _patches(
    overlap: Overlap, coverage: Tensor, response: Tensor, ratio: int, k: int
) -> tuple[Tensor, Tensor]:
    """(m, k²) of the covered fine bands under every usable coarse pixel, and (m,) what R Z says of them."""
    covered, margin = coverage.any(1), (k - ratio) // 2
    fine = overlap.fine[covered].double()
    wide = pad(fine[None], (margin,) * 4, mode="replicate")[0] if margin else fine
    patches = wide.unfold(1, k, ratio).unfold(2, k, ratio).flatten(3)[:, overlap.usable]
    told = response.to(fine)[covered] @ overlap.coarse[:, overlap.usable].double()
    return patches.flatten(0, 1), told.flatten()


def rms_misfit(overlaps: Sequence[Overlap], model: PairModel) -> Tensor:
    """(l,) root mean square of k * Y − R Z over the usable pixels."""
    total, count = torch.zeros(len(model.response), dtype=torch.float64), 0
    for overlap in overlaps:
        told = model.response.to(overlap.coarse) @ overlap.coarse.flatten(1)
        low = model.to(overlap.fine).lowpass(overlap.fine)
        gap = (low.flatten(1) - told)[:, overlap.usable.flatten()]
        total += gap.double().square().sum(1).cpu()
        count += gap.shape[1]
    return (total / max(count, 1)).sqrt()


def _box(image: Tensor, side: int) -> Tensor:
    half = side // 2
    return avg_pool2d(pad(image[None], (half,) * 4, mode="replicate"), side, 1)[0]


def _differences(inside: Tensor) -> Tensor:
    """DᵀD of first differences between neighbouring bands, none across bands that were left out."""
    n = len(inside)
    near = (inside.diff() == 1).double()
    rows = torch.diag(near, 1)[:-1] - torch.diag(torch.cat([near, near.new_zeros(1)]))[:-1] if n > 1 else None
    return torch.zeros(n, n, dtype=torch.float64) if rows is None else rows.T @ rows


def _roughness(k: int) -> Tensor:
    """DᵀD of first differences along both axes of a k × k kernel."""
    step = (
        (torch.eye(k) - torch.diag(torch.ones(k - 1), 1))[:-1].double()
        if k > 1
        else torch.zeros(0, 1).double()
    )
    line = step.T @ step
    return torch.kron(line, torch.eye(k).double()) + torch.kron(torch.eye(k).double(), line)
