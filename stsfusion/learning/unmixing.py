"""Unmixing: a scene's pure spectra, and how much of each a pixel holds.

::

    X ≈ E A      X (L, n) pixels, E (L, p) endmembers, A (p, n) abundances, A ≥ 0, Σ_p A = 1
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["abundances", "accelerated", "enclosing", "on_simplex", "room", "stride", "vertices"]

_TINY = 1e-30
"""Keeps a step finite where the endmembers are zero."""

_RANK = 1e-10
"""Share of the largest variance under which a principal component is rounding."""

_CHUNK = 16384
"""Pixels that are unmixed at a time: few enough to stay near the processor."""

_FLAT = 1e8
"""Condition from which a simplex has no volume to speak of."""

_PACE = 0.01
"""First step of the search for the smallest simplex, in barycentric coordinates."""


def on_simplex(x: Tensor) -> Tensor:
    """Columns of (p, n) to the nearest points with a ≥ 0 and Σ a = 1.

    a = max(x − τ, 0), τ = (Σ_{i ≤ k} s_i − 1) / k with s = x sorted downwards and k the largest for which
    s_k > τ.

    Source: Duchi et al. (2008), doi:10.1145/1390156.1390191, fig. 1.
    """
    ordered = x.sort(0, descending=True).values
    excess = ordered.cumsum(0) - 1.0
    rank = torch.arange(1, len(x) + 1, dtype=x.dtype, device=x.device)[:, None]
    kept = (ordered * rank > excess).sum(0).clamp_min(1)
    threshold = excess.gather(0, kept[None] - 1) / kept
    return (x - threshold).clamp_min(0.0)


def stride(endmembers: Tensor) -> Tensor:
    """() the step 1 / ‖E‖² that a gradient of ½ ‖X − E A‖² may go."""
    return 1.0 / torch.linalg.matrix_norm(endmembers, 2).square().clamp_min(_TINY)


def accelerated(steps: int) -> Iterator[float]:
    """Share of the last move to repeat, step by step: (t_k − 1) / t_{k+1}, t_{k+1} = (1 + √(1 + 4 t_k²)) / 2.

    Source: Beck and Teboulle (2009), doi:10.1137/080716542, eqs. 4.2 and 4.3.
    """
    t = 1.0
    for _ in range(steps):
        after = (1.0 + math.sqrt(1.0 + 4.0 * t * t)) / 2.0
        yield (t - 1.0) / after
        t = after


def abundances(
    pixels: Tensor, endmembers: Tensor, steps: int, start: Tensor | None = None, step: Tensor | None = None
) -> Tensor:
    """(p, n) that come nearest to min ‖X − E A‖² over the simplex, in a fixed number of steps.

    A ← P(V − s Eᵀ(E V − X)), V = A + β_k (A − A_before), P the projection on the simplex. Every pixel goes
    its own way, so that it matters not which others are there.

    Parameters
    ----------
    pixels
        (L, n) reflectance, in the endmembers' units.
    endmembers
        (L, p).
    steps
        Projected-gradient steps, accelerated.
    start
        (p, n) where to begin; None: equal shares.
    step
        () length of a gradient step; None: `stride` of the endmembers.
    """
    gram, step = endmembers.T @ endmembers, stride(endmembers) if step is None else step
    if start is None:
        start = gram.new_full((len(gram), pixels.shape[1]), 1.0 / len(gram))
    found = []
    for x, now in zip(pixels.split(_CHUNK, 1), start.split(_CHUNK, 1), strict=True):
        target, ahead = endmembers.T @ x, now
        for share in accelerated(steps):
            before, now = now, on_simplex(ahead - step * (gram @ ahead - target))
            ahead = now + share * (now - before)
        found.append(now)
    return torch.cat(found, 1)


def vertices(pixels: Tensor, count: int, seed: int) -> Tensor:
    """(L, p) endmembers: the corners of the smallest simplex that the pixels reach into, p = count.

    Pixels are brought to `count` dimensions: by projection from the origin on the plane u·x = 1 where the
    signal stands far above the noise, by principal components and a constant where it does not. A random
    direction orthogonal to all corners found so far is drawn, and the pixel that lies farthest along it is
    the next corner.

    Parameters
    ----------
    pixels
        (L, n) reflectance.
    count
        Endmembers, at most the number of pixels and of bands.
    seed
        Of the random directions.

    Raises
    ------
    ProblemError
        When there are fewer pixels or bands than endmembers.

    Source: Nascimento and Bioucas-Dias (2005), doi:10.1109/TGRS.2005.844293, algorithm 1.
    """
    bands, number = pixels.shape
    if not 1 <= count <= min(bands, number):
        raise ProblemError(
            "vertices",
            expected=f"1 to {min(bands, number)} endmembers for {number} pixels of {bands} bands",
            got=f"{count}",
            mend="Ask for fewer endmembers, or give more pixels.",
        )
    x = pixels.double()
    clean, reduced, frame = _reduced(x, count)
    cast = torch.Generator().manual_seed(seed)
    # Drawn over the bands, a direction does not depend on which way the axes point.
    draws = torch.randn(count, bands + 1, generator=cast, dtype=torch.float64).to(x) @ frame
    corners = torch.eye(count, dtype=x.dtype, device=x.device)[:, -1:]
    free = torch.ones(number, dtype=torch.bool, device=x.device)
    chosen: list[int] = []
    for draw in draws:
        aside = draw - corners @ (torch.linalg.pinv(corners) @ draw)
        chosen.append(int(torch.where(free, (aside @ reduced).abs(), -1.0).argmax()))
        free[chosen[-1]] = False
        corners = reduced[:, chosen]
    return clean[:, chosen].to(pixels)


def room(pixels: Tensor, most: int) -> int:
    """How many endmembers (L, n) pixels can tell apart: one more than the dimensions they spread over."""
    centred = pixels.double() - pixels.double().mean(1, keepdim=True)
    variance = torch.linalg.eigvalsh(centred @ centred.T)
    spread = int((variance > _RANK * variance[-1].clamp_min(_TINY)).sum())
    return max(1, min(most, spread + 1, *pixels.shape))


def enclosing(pixels: Tensor, corners: Tensor, steps: int = 1500, weight: float = 1.0) -> Tensor:
    """(L, p) corners of a small simplex around the pixels: what they are mixed from where none is pure.

    ::

        min −log |det Q| + w Σ max(−Q B, 0)  over Q with 1ᵀQ = 1ᵀ

    B (p, n) are the pixels' barycentric coordinates in the simplex of the given corners, Q⁻¹ the new corners
    in the same. A pixel may stay outside at a price, so that outliers do not decide. Solved by Adam's descent
    with steps that shrink to zero. Corners that span no volume are given back as they are.

    Parameters
    ----------
    pixels
        (L, n) reflectance, spread over p − 1 dimensions at least: see `room`.
    corners
        (L, p) endmembers to begin from, such as `vertices` gives.
    steps
        Of the descent.
    weight
        w, price of a coordinate of −1.

    Source: Bioucas-Dias (2009), doi:10.1109/WHISPERS.2009.5289072, eq. 8; the descent is ours.
    """
    count = corners.shape[1]
    if count == 1:
        return corners
    x, ends = pixels.double(), corners.double()
    mean = x.mean(1, keepdim=True)
    axes = _axes(x - mean, count - 1)
    ones = x.new_ones(1, x.shape[1])
    frame = torch.cat([axes.T @ (ends - mean), ones[:, :count]])
    if torch.linalg.cond(frame / frame.norm(dim=1, keepdim=True)) > _FLAT:
        return corners
    inside = torch.linalg.solve(frame, torch.cat([axes.T @ (x - mean), ones]))
    eye = torch.eye(count).to(x)
    turn = torch.zeros_like(eye)
    adam = torch.optim.Adam([turn], lr=_PACE)
    for done in range(steps):
        adam.param_groups[0]["lr"] = _PACE * (1.0 - done / steps)
        q = eye + turn - turn.mean(0)
        slope = -torch.linalg.inv(q).T - weight * ((q @ inside < 0).to(x) @ inside.T)
        turn.grad = slope - slope.mean(0)
        adam.step()
    found = torch.linalg.solve(eye + turn - turn.mean(0), frame, left=False)
    return (axes @ found[:-1] + mean).to(corners)


def _reduced(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels within their signal subspace (L, n), in its coordinates (p, n), and its axes (L + 1, p).

    The last row of the axes belongs to the constant that stands beside the principal components.
    """
    mean = x.mean(1, keepdim=True)
    centred = x - mean
    main = _axes(centred, count)
    extra = x.new_zeros(1, count)
    if _signal_to_noise(x, mean, main) > 15.0 + 10.0 * math.log10(count):
        axes = _axes(x, count)
        scores = axes.T @ x
        level = scores.mean(1) @ scores
        seen = level > 1e-6 * level.mean()
        return axes @ scores, torch.where(seen, scores / level, 0.0), torch.cat([axes, extra])
    main = main[:, : count - 1]
    scores = main.T @ centred
    size = scores.norm(dim=0).amax().expand(1, x.shape[1]) if count > 1 else torch.ones_like(x[:1])
    extra[0, -1] = 1.0
    frame = torch.cat([torch.cat([main, torch.zeros_like(mean)], 1), extra])
    return main @ scores + mean, torch.cat([scores, size]), frame


def _axes(x: Tensor, count: int) -> Tensor:
    """(L, count) leading left singular vectors."""
    return torch.linalg.eigh(x @ x.T).eigenvectors.flip(1)[:, :count]


def _signal_to_noise(x: Tensor, mean: Tensor, axes: Tensor) -> float:
    """Decibels by which the first `count` components stand above the rest."""
    count, bands, number = axes.shape[1], *x.shape
    total = float(x.square().sum() / number)
    kept = float((axes.T @ (x - mean)).square().sum() / number + mean.square().sum())
    signal, noise = kept - count / bands * total, total - kept
    if noise <= 1e-12 * total or signal <= 0.0:
        return math.inf if noise <= 1e-12 * total else -math.inf
    return 10.0 * math.log10(signal / noise)
