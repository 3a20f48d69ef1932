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

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.operators.nnls import nnls
from stsfusion.operators.pairmodel import PairModel, support

__all__ = ["Overlap", "displacement", "estimate", "response_for"]

_ROUNDS = 6
"""Turns of step 2."""

_WORSE = 0.1
"""Share by which a free kernel that takes all misfit away may leave more of Z untold than the Gaussian."""

_COMPONENTS = 12
"""Principal components of the coarse image that step 1 predicts."""

_WIDTHS = (0.3, 0.5, 0.75, 1.0, 1.3)
"""Full widths at half maximum from which the search starts, in ratios."""

_SURE = 15.0
"""Twice the logarithm of how many Gaussians the search looks at: a displacement must be worth more than that
in likelihood, or a handful of pixels would move the image by chance."""

_FLAT = 1e-12
"""Share of the second moments below which a variance is rounding."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """One tile that both sensors saw."""

    coarse: Tensor
    """(L, h, w) hyperspectral reflectance."""

    fine: Tensor
    """(l, H, W) multispectral reflectance."""

    usable: Tensor
    """(h, w) bool: coarse pixels to learn from; what they see of the fine image is valid."""


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of products over all usable coarse pixels, double precision; n = K² places under the kernel."""

    count: float
    """Pixels."""

    patch: Tensor
    """(l, l, n, n) of the fine bands under the kernel with each other."""

    cross: Tensor
    """(l, n, L) of the fine bands with the coarse ones."""

    coarse: Tensor
    """(L, L) of the coarse bands."""

    patch_mean: Tensor
    """(l, n) means."""

    coarse_mean: Tensor
    """(L,) means."""

    @property
    def size(self) -> int:
        """K."""
        return round(self.patch.shape[-1] ** 0.5)


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
    sums = _gather(overlaps, ratio)
    told = _Told.of(sums)
    start = _gaussians(_search(told, ratio, sums.size)[None], sums.size)[0]
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
    sums = _gather(overlaps, ratio)
    _, down, right = _search(_Told.of(sums), ratio, sums.size).tolist()
    return down, right


def response_for(overlaps: Sequence[Overlap], coverage: Tensor, kernel: Tensor, ratio: int) -> PairModel:
    """The response and its misfit when the point spread function is given or assumed."""
    sums = _gather(overlaps, ratio)
    wide = _embedded(kernel, sums.size)
    response = _response(sums, coverage, wide, _flat(coverage), 1e-4)
    return PairModel(kernel, response, _misfit(sums, wide, response), torch.zeros(2), ratio)


# ---------------------------------------------------------------- sums


def _gather(overlaps: Sequence[Overlap], ratio: int) -> _Sums:
    """Walk over all tiles; each fine band's neighbourhood of every coarse pixel becomes a row of n places."""
    margin = support(ratio)
    size = ratio + 2 * margin
    total: list[Tensor] = []
    for overlap in overlaps:
        inner = _inner(overlap.usable, ratio, margin)
        patches = _patches(overlap.fine, size, ratio, margin)[:, inner.flatten()].double()
        z = overlap.coarse[:, inner].double()
        bands, pixels, places = patches.shape
        flat = patches.permute(1, 0, 2).reshape(pixels, bands * places)
        gram = (flat.T @ flat).reshape(bands, places, bands, places).permute(0, 2, 1, 3)
        piece = [
            torch.tensor(float(pixels)),
            gram,
            (flat.T @ z.T).reshape(bands, places, -1),
            z @ z.T,
            flat.sum(0).reshape(bands, places),
            z.sum(1),
        ]
        total = piece if not total else [a + b for a, b in zip(total, piece, strict=True)]
    count = float(total[0])
    parts = [part.cpu() / max(count, 1.0) for part in total[1:]]
    return _Sums(count, *parts)


def _inner(usable: Tensor, ratio: int, margin: int) -> Tensor:
    """Usable pixels whose support lies inside the image; all of them when that leaves fewer than half."""
    ring = -(-margin // ratio)
    inner = torch.zeros_like(usable)
    inner[ring : usable.shape[0] - ring, ring : usable.shape[1] - ring] = True
    inner &= usable
    return inner if int(inner.sum()) * 2 >= int(usable.sum()) else usable


def _patches(fine: Tensor, size: int, ratio: int, margin: int) -> Tensor:
    """(l, h·w, K²) of the fine image under every coarse pixel's support, edges repeated."""
    wide = pad(fine[None], (margin,) * 4, mode="replicate")[0]
    windows = wide.unfold(1, size, ratio).unfold(2, size, ratio)
    return windows.flatten(1, 2).flatten(2)


# ---------------------------------------------------------------- step 1: a Gaussian


@dataclass(frozen=True, eq=False)
class _Told:
    """How much of the coarse image a kernel lets the fine one tell."""

    gram: Tensor
    """(l, l, n, n) covariance of the patches."""

    cross: Tensor
    """(l, n, p) with the weighted principal components of the coarse image."""

    total: float
    """Variance of the weighted components."""

    count: float
    """Pixels."""

    @classmethod
    def of(cls, sums: _Sums) -> _Told:
        """Centre the sums; components count by the root of their variance, so that the first is not all."""
        gram = sums.patch - torch.einsum("an,bm->abnm", sums.patch_mean, sums.patch_mean)
        covariance = sums.coarse - torch.outer(sums.coarse_mean, sums.coarse_mean)
        values, vectors = torch.linalg.eigh(covariance)
        keep = min(_COMPONENTS, len(values))
        values, vectors = values.flip(0)[:keep].clamp_min(1e-30), vectors.flip(1)[:, :keep]
        cross = sums.cross - torch.einsum("an,b->anb", sums.patch_mean, sums.coarse_mean)
        if float(covariance.trace()) <= _FLAT * float(sums.coarse.trace()):
            cross = torch.zeros_like(cross)
        return cls(gram, cross @ (vectors * values**-0.25), float(values.sqrt().sum()), sums.count)

    def share(self, kernels: Tensor) -> Tensor:
        """(m,) variance of the weighted components that k * Y explains, for (m, n) kernels of unit sum."""
        feature = torch.einsum("mn,abnk,mk->mab", kernels, self.gram, kernels)
        mixed = torch.einsum("mn,anp->map", kernels, self.cross)
        level = feature.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)
        load = 1e-8 * level[:, None, None] * torch.eye(feature.shape[1], dtype=feature.dtype)
        return (mixed * torch.linalg.solve(feature + load, mixed)).sum((1, 2))

    def missing(self, kernel: Tensor) -> float:
        """Share of the weighted components' variance that one (n,) kernel leaves untold."""
        return max(1.0 - float(self.share(kernel[None])[0]) / self.total, 1e-6)


def _search(told: _Told, ratio: int, size: int) -> Tensor:
    """(3,) the best Gaussian's width and displacement, none unless it tells more than chance would let it."""
    far = support(ratio) - 1
    offsets = torch.arange(-far, far + 1, dtype=torch.float64)
    centred, free = (_climbed(told, ratio, size, places) for places in (offsets[far : far + 1], offsets))
    left, least = (told.missing(_gaussians(each[None], size)[0]) for each in (centred, free))
    return free if told.count * math.log(left / least) > _SURE else centred


def _climbed(told: _Told, ratio: int, size: int, offsets: Tensor) -> Tensor:
    """(3,) from a grid of widths and displacements, in steps that halve; one displacement stays as it is."""
    widths = torch.tensor(_WIDTHS, dtype=torch.float64) * ratio
    grid = torch.cartesian_prod(widths, offsets, offsets)
    shares = torch.cat([told.share(_gaussians(part, size)) for part in grid.split(64)])
    best = grid[int(shares.argmax())] if float(shares.max()) > 0 else torch.tensor([ratio, 0.0, 0.0]).to(grid)
    slide = 0.5 if len(offsets) > 1 else 0.0
    step = torch.tensor([0.2 * ratio, slide, slide], dtype=torch.float64)
    moves = torch.cartesian_prod(*(torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64),) * 3)
    for _ in range(8):
        near = best + moves * step
        near[:, 0] = near[:, 0].clamp(0.15 * ratio, 2.0 * ratio)
        best = near[int(told.share(_gaussians(near, size)).argmax())]
        step = step / 2
    return best


def _gaussians(settings: Tensor, size: int) -> Tensor:
    """(m, K²) of unit sum from (m, 3) full widths and displacements (down, right)."""
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    sigma = settings[:, :1] / 2.3548
    down = torch.exp(-0.5 * ((places - settings[:, 1:2]) / sigma) ** 2)
    right = torch.exp(-0.5 * ((places - settings[:, 2:3]) / sigma) ** 2)
    kernels = (down[:, :, None] * right[:, None, :]).flatten(1)
    return kernels / kernels.sum(1, keepdim=True)


# ---------------------------------------------------------------- step 2: without a shape


def _refine(sums: _Sums, coverage: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
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


def _response(sums: _Sums, coverage: Tensor, kernel: Tensor, flat: Tensor, misfit: float) -> Tensor:
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


def _misfit(sums: _Sums, kernel: Tensor, response: Tensor) -> Tensor:
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
