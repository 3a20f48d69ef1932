"""Blind estimation of point spread function, spectral response and displacement from an overlapping pair.

::

    k * Y ≈ R Z     k: (K, K) ≥ 0, Σ k = 1, wider than the ratio     R: ≥ 0, zero outside a band's coverage

Three steps, all of them on sums over the coarse pixels, so that tiles add up:

1. A Gaussian, its width and displacement searched for where k * Y tells most of Z by linear regression. The
   coarse image is what is predicted, so that no kernel wins by flattening the fine one. It stays in the
   middle unless a displacement tells more than chance would.
2. R and k in turn by non-negative least squares, each held to its predecessor (a flat response, the Gaussian)
   as strongly as the misfit that is left asks for: a pair that the model explains decides for itself.
3. The free kernel stands unless it tells less of Z than the Gaussian, by more than what it gained in step 2
   allows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.operators.gaussian_fit import Told, gaussian, search
from stsfusion.operators.nnls import nnls
from stsfusion.operators.overlap import Overlap, Sums, gather
from stsfusion.operators.pairmodel import PairModel

__all__ = ["displacement", "estimate", "response_for"]

_ROUNDS = 6
"""Turns of step 2."""

_WORSE = 0.1
"""Share by which a free kernel that takes all misfit away may leave more of Z untold than the Gaussian."""


def estimate(overlaps: Sequence[Overlap], coverage: Tensor, ratio: int) -> PairModel:
    """Point spread function and response of a pair of sensors; the displacement is in the kernel's centre.

    Parameters
    ----------
    overlaps
        Tiles of one date.
    coverage
        (l, L) bool, which coarse bands a fine band looks at; a row may be empty.
    ratio
        Fine pixels along one side of a coarse one.
    """
    sums = gather(overlaps, ratio)
    told = Told.of(sums)
    start = gaussian(search(told, ratio), sums.size)
    kernel, response = _refine(sums, coverage, start)
    plain = _response(sums, coverage, start, _flat(coverage), 1e-4)
    before, after = (float(_misfit(sums, *pair).sum()) for pair in ((start, plain), (kernel, response)))
    gained = 1.0 - after / max(before, 1e-30)
    if told.missing(kernel) > (1.0 + _WORSE * gained) * told.missing(start):
        kernel, response = start, plain
    square = kernel.reshape(sums.size, sums.size)
    return PairModel(square, response, _misfit(sums, kernel, response), torch.zeros(2), ratio)


def displacement(overlaps: Sequence[Overlap], ratio: int) -> tuple[float, float]:
    """Fine pixels (down, right) by which what the coarse sensor sees lies off its place on the fine image.

    The Gaussian's, whose three numbers all the data settle; the centre of a free kernel follows the sensor
    model's misfit as well.
    """
    sums = gather(overlaps, ratio)
    _, down, right = search(Told.of(sums), ratio).tolist()
    return down, right


def response_for(overlaps: Sequence[Overlap], coverage: Tensor, kernel: Tensor, ratio: int) -> PairModel:
    """The response and its misfit when the point spread function is given or assumed."""
    sums = gather(overlaps, ratio)
    wide = _embedded(kernel, sums.size)
    response = _response(sums, coverage, wide, _flat(coverage), 1e-4)
    return PairModel(kernel, response, _misfit(sums, wide, response), torch.zeros(2), ratio)


def _refine(sums: Sums, coverage: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Kernel and response in turn; what holds each weakens as the misfit falls."""
    flat, kernel = _flat(coverage), start
    seen = coverage.any(1).nonzero()[:, 0].tolist()
    response = _response(sums, coverage, kernel, flat, 1e-4)
    if not seen:
        return kernel, response
    weights = torch.stack([sums.patch[band, band].diagonal().mean() for band in range(len(coverage))])
    weights = 1.0 / weights.clamp_min(1e-30)
    gram = sum(weights[band] * sums.patch[band, band] for band in seen) / len(seen)
    assert isinstance(gram, Tensor)
    spread = start.square().mean()
    for _ in range(_ROUNDS):
        misfit = _misfit(sums, kernel, response)
        relative = float((misfit.square() * weights)[seen].mean())
        load = max(relative, 1e-10) / max(sums.count * len(seen), 1.0) / float(spread)
        rhs = sum(weights[band] * (sums.cross[band] @ response[band]) for band in seen) / len(seen)
        kernel = nnls(gram + load * torch.eye(len(gram), dtype=gram.dtype), rhs + load * start)
        kernel = kernel / kernel.sum().clamp_min(1e-12)
        response = _response(sums, coverage, kernel, flat, relative)
    return kernel, response


def _flat(coverage: Tensor) -> Tensor:
    """(l, L) equal weights over the coverage, rows of unit sum or zero."""
    return coverage.double().cpu() / coverage.sum(1, keepdim=True).clamp_min(1).double().cpu()


def _response(sums: Sums, coverage: Tensor, kernel: Tensor, flat: Tensor, misfit: float) -> Tensor:
    """(l, L) non-negative least squares of k * Y on the covered bands of Z, held to a flat response."""
    response = torch.zeros_like(flat)
    for band in range(len(flat)):
        inside = coverage[band].cpu().nonzero()[:, 0]
        if not len(inside):
            continue
        gram = sums.coarse[inside][:, inside]
        level = float(sums.patch[band, band].diagonal().mean().clamp_min(1e-30))
        load = max(misfit, 1e-10) * level / max(sums.count, 1.0) * len(inside) ** 2
        rhs = sums.cross[band].T[inside] @ kernel
        held = gram + load * torch.eye(len(inside), dtype=gram.dtype)
        response[band, inside] = nnls(held, rhs + load * flat[band, inside])
    return response


def _misfit(sums: Sums, kernel: Tensor, response: Tensor) -> Tensor:
    """(l,) root mean square of k * Y − R Z."""
    own = torch.einsum("n,aank,k->a", kernel, sums.patch, kernel)
    mixed = torch.einsum("n,anb,ab->a", kernel, sums.cross, response)
    other = torch.einsum("ab,bc,ac->a", response, sums.coarse, response)
    return (own - 2 * mixed + other).clamp_min(0.0).sqrt()


def _embedded(kernel: Tensor, size: int) -> Tensor:
    """(K²,) a kernel in the middle of the support (cut where it is wider), of unit sum."""
    k = kernel.double().cpu()
    off = (size - k.shape[0]) // 2
    if off < 0:
        k = k[-off : k.shape[0] + off, -off : k.shape[1] + off]
        off = 0
    wide = pad(k, (off, size - off - k.shape[1], off, size - off - k.shape[0]))
    return wide.flatten() / wide.sum()
