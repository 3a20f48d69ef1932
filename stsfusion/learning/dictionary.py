"""Dictionary: non-negative spectra of which every pixel is a sparse, non-negative sum."""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.operators.nnls import nnls_sweeps

__all__ = ["learn_dictionary", "renewed"]

_DARK = 1e-3
"""Share of the usual norm under which a pixel has no shape worth learning."""

_BATCH = 256
"""Pixels that are coded before the dictionary changes."""

_SWEEPS = 10
"""Sweeps of coordinate descent a visit; codes begin where the last visit left them."""


def learn_dictionary(pixels: Tensor, atoms: int, rounds: int, sparsity: float, seed: int) -> Tensor:
    """(L, K) non-negative atoms of unit norm, K = atoms or the number of pixels if that is smaller.

    min Σ_n ½ ‖x_n − D a_n‖² + λ Σ a_n over D ≥ 0, ‖d_k‖ ≤ 1, a_n ≥ 0, batch by batch: the codes of a
    batch, then D against the sums over the latest codes of all pixels.

    Parameters
    ----------
    pixels
        (L, n) reflectance; what is negative counts as zero, and every pixel is brought to unit norm first.
    rounds
        How often every pixel is visited.
    sparsity
        λ.
    seed
        Of the first atoms and of the order.

    Source: Mairal et al. (2010), Online learning for matrix factorization and sparse coding, algs. 1 and 2.
    """
    x = pixels.double().clamp_min(0.0).T
    size = x.norm(dim=1)
    bright = size > _DARK * size.square().mean().sqrt()
    x = x[bright] / size[bright, None] if bool(bright.any()) else torch.ones_like(x)
    cast = torch.Generator().manual_seed(seed)
    first = torch.randperm(len(x), generator=cast)[:atoms].to(x.device)
    dictionary = _unit(x[first].T)
    codes = x.new_zeros(len(x), dictionary.shape[1])
    inner, outer = codes.T @ codes, x.T @ codes
    for _ in range(rounds):
        for part in torch.randperm(len(x), generator=cast).to(x.device).split(_BATCH):
            seen, old = x[part], codes[part]
            new = nnls_sweeps(dictionary.T @ dictionary, seen @ dictionary - sparsity, old, _SWEEPS)
            inner += new.T @ new - old.T @ old
            outer += seen.T @ (new - old)
            codes[part] = new
            dictionary = renewed(dictionary, inner, outer)
        dictionary = _revived(dictionary, inner, x, codes)
    return _unit(dictionary).to(pixels.dtype)


def renewed(dictionary: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """One walk over the columns of D, each at the optimum of ½ tr(DᵀD A) − tr(DᵀB) with the others fixed.

    Parameters
    ----------
    dictionary
        (L, K) D.
    inner, outer
        (K, K) A = Σ a aᵀ and (L, K) B = Σ x aᵀ.
    """
    d = dictionary.clone()
    used = inner.diagonal() > 1e-10 * inner.diagonal().mean().clamp_min(1e-30)
    for k in used.nonzero()[:, 0].tolist():
        column = (d[:, k] + (outer[:, k] - d @ inner[:, k]) / inner[k, k]).clamp_min(0.0)
        d[:, k] = column / column.norm().clamp_min(1.0)
    return d


def _unit(columns: Tensor) -> Tensor:
    return columns / columns.norm(dim=0).clamp_min(1e-12)


def _revived(dictionary: Tensor, inner: Tensor, x: Tensor, codes: Tensor) -> Tensor:
    """Atoms that no pixel uses become the pixels that are told worst."""
    idle = (inner.diagonal() <= 1e-10 * inner.diagonal().mean().clamp_min(1e-30)).nonzero()[:, 0]
    if not len(idle):
        return dictionary
    missed = (x - codes @ dictionary.T).square().sum(1)
    d = dictionary.clone()
    worst = missed.topk(len(idle)).indices
    d[:, idle] = _unit(x[worst].T)
    return d
