"""Non-negative least squares, exactly for one problem and by sweeps for many."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["nnls", "nnls_sweeps"]

_PATIENCE = 3
"""Exchanges of many variables at once without progress, before they are exchanged one by one."""


def nnls(gram: Tensor, rhs: Tensor, limit: int = 500) -> Tensor:
    """Argmin over x ≥ 0 of ½ xᵀ G x − xᵀ b.

    Parameters
    ----------
    gram
        (n, n) positive definite G, double precision.
    rhs
        (n,) b.
    limit
        Exchanges after which what was reached, clipped at zero, is given back.

    Source: Kim and Park (2011), block principal pivoting, algorithm 1 with Murty's rule as its backup.
    """
    n = len(rhs)
    scale = gram.diagonal().clamp_min(1e-300).sqrt()
    g, b = gram / torch.outer(scale, scale), rhs / scale
    free = b > 0
    tiny = 1e-12 * float(b.abs().max().clamp_min(1e-300))
    fewest, patience = n + 1, _PATIENCE
    x = torch.zeros_like(b)
    for _ in range(limit):
        x = _solve_free(g, b, free)
        slope = g @ x - b
        wrong = (free & (x < -tiny)) | (~free & (slope < -tiny))
        count = int(wrong.sum())
        if count == 0:
            break
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            last = int(wrong.nonzero()[-1])
            wrong = torch.zeros_like(wrong)
            wrong[last] = True
        free = free ^ wrong
    return x.clamp_min(0.0) / scale


def _solve_free(gram: Tensor, rhs: Tensor, free: Tensor) -> Tensor:
    """The unconstrained optimum of the free variables, zero for the others."""
    x = torch.zeros_like(rhs)
    index = free.nonzero()[:, 0]
    if len(index):
        x[index] = torch.linalg.solve(gram[index][:, index], rhs[index])
    return x


def nnls_sweeps(gram: Tensor, rhs: Tensor, start: Tensor | None = None, sweeps: int = 50) -> Tensor:
    """The same for many problems at once, by a fixed number of sweeps of exact coordinate descent.

    Parameters
    ----------
    gram
        (..., n, n) positive semi-definite.
    rhs
        (..., n); leading axes broadcast with the gram's.
    start
        (..., n) where to begin; None: zero.
    sweeps
        Each visits every coordinate once and never raises the cost.
    """
    shape = torch.broadcast_shapes(gram.shape[:-1], rhs.shape)
    x = torch.zeros(shape, dtype=rhs.dtype, device=rhs.device) if start is None else start.clone()
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    dead = diagonal <= 1e-12 * diagonal.amax(-1, keepdim=True).clamp_min(1e-30)
    safe = torch.where(dead, 1.0, diagonal)
    for _ in range(sweeps):
        for i in range(gram.shape[-1]):
            slope = (gram[..., i, :] * x).sum(-1) - rhs[..., i]
            step = (x[..., i] - slope / safe[..., i]).clamp_min(0.0)
            x[..., i] = torch.where(dead[..., i], 0.0, step)
    return x
