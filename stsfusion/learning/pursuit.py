"""Pursuit: which few atoms of a dictionary all pixels of a patch are made of, and of how much of each.

Many patches are walked at once; each goes its own way, so that it matters not which others are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["Sparse", "active_set", "pursue"]

_NOTHING = 1e-7
"""Share of a patch's norm under which its residual is nothing."""

_FLAT = 1e-10
"""Share of a pixel's norm under which the slope of its cost is none."""


@dataclass(frozen=True, eq=False)
class Sparse:
    """Non-negative coefficients of many pixels, of which only those that are not zero are held."""

    members: Tensor
    """(n, k) which atoms; the number of atoms stands where a place is free."""

    values: Tensor
    """(n, k) how much of each, zero where a place is free."""

    @classmethod
    def nothing(cls, targets: Tensor, atoms: int) -> Sparse:
        """No atom for any of (n, l) pixels; one place more than it takes to tell a pixel exactly."""
        places = min(targets.shape[1] + 1, atoms)
        values = targets.new_zeros(len(targets), places)
        return cls(torch.full_like(values, atoms, dtype=torch.long), values)

    def of(self, index: Tensor) -> Sparse:
        """Some of the pixels."""
        return Sparse(self.members[index], self.values[index])

    def put(self, index: Tensor, other: Sparse) -> None:
        """Write the coefficients of some pixels, in place."""
        self.members[index], self.values[index] = other.members, other.values

    def times(self, table: Tensor) -> Tensor:
        """(n, c) sums of the rows of an (atoms, c) table."""
        dense = self.values.new_zeros(len(self.values), len(table) + 1)
        return dense.scatter_add_(1, self.members, self.values)[:, :-1].to(table) @ table


def pursue(patches: Tensor, atoms: Tensor, chunk: int, gamma: float) -> Sparse:
    """Coefficients of every pixel (m · p of them), the same choice of atoms for all pixels of a patch.

    In every step the `chunk` atoms join that are most like the residuals, Σ_p r_pᵀ φ_k / ‖r_p‖, and all that
    were chosen are fitted again. A patch ends when its residual is nothing or falls to no less than gamma of
    what it was.

    Parameters
    ----------
    patches
        (m, p, l) pixels of each patch, double precision.
    atoms
        (K, l) of unit norm.

    Source: Akhtar, Shafait and Mian (2014), doi:10.1007/978-3-319-10584-0_5, algorithm 1, non-negative.
    """
    count, pixels, _ = patches.shape
    total = len(atoms)
    targets = patches.flatten(0, 1)
    found = Sparse.nothing(targets, total)
    chosen = torch.zeros(count, total, dtype=torch.bool, device=patches.device)
    whole = patches.square().sum((1, 2)).sqrt()
    going = whole.nonzero()[:, 0]
    residual, size = patches[going], whole[going]
    for held in [*range(chunk, total, chunk), total]:
        if not len(going):
            break
        chosen[going] = _joined(residual, atoms, chosen[going], held)
        every = (going[:, None] * pixels + torch.arange(pixels, device=going.device)).flatten()
        allowed = chosen[going].repeat_interleave(pixels, 0)
        fitted = active_set(atoms, targets[every], allowed, found.of(every))
        found.put(every, fitted)
        residual = patches[going] - fitted.times(atoms).unflatten(0, (-1, pixels))
        left = residual.square().sum((1, 2)).sqrt()
        more = (left < gamma * size) & (left > _NOTHING * whole[going])
        going, residual, size = going[more], residual[more], left[more]
    return found


def _joined(residual: Tensor, atoms: Tensor, chosen: Tensor, held: int) -> Tensor:
    """(m, K) which `held` atoms are in when the most alike ones have joined those that were."""
    length = residual.norm(dim=2, keepdim=True)
    direction = torch.where(length > 0, residual / length.clamp_min(1e-300), 0.0)
    alike = (direction.sum(1) @ atoms.T).masked_fill(chosen, torch.inf)
    return chosen.scatter(1, alike.topk(held, 1).indices, True)


def active_set(atoms: Tensor, targets: Tensor, allowed: Tensor, start: Sparse, limit: int = 300) -> Sparse:
    """Argmin over x ≥ 0 of ‖atomsᵀ x − target‖² for many targets.

    Parameters
    ----------
    atoms
        (K, l) of about unit norm, double precision.
    targets
        (n, l).
    allowed
        (n, K) bool: which coefficients may be positive.
    start
        Where to begin: an optimum over a part of the allowed atoms, or nothing.
    limit
        Exchanges after which what was reached is given back.

    Source: Lawson and Hanson (1974), Solving least squares problems, algorithm NNLS.
    """
    table, mask = pad(atoms, (0, 0, 0, 1)), pad(allowed, (0, 1))
    done = Sparse(start.members.clone(), start.values.clone())
    going = torch.arange(len(targets), device=targets.device)
    now, inner = start, torch.zeros_like(going, dtype=torch.bool)
    for _ in range(limit):
        members, entering = _entered(table, targets[going], mask[going], now, inner)
        keep = inner | entering
        done.put(going, now)
        going = going[keep]
        if not len(going):
            break
        now, inner = _advanced(table, targets[going], Sparse(members[keep], now.values[keep]))
    return done


def _entered(
    table: Tensor, targets: Tensor, mask: Tensor, now: Sparse, inner: Tensor
) -> tuple[Tensor, Tensor]:
    """Members with the atom that lowers a pixel's cost fastest, and (n,) which pixels were given one.

    A pixel that has not reached the optimum of its members (inner) gets none.
    """
    residual = targets - (now.values[:, None] @ table[now.members])[:, 0]
    slope = (residual @ table.T).masked_fill(~mask, -torch.inf)
    slope = slope.scatter(1, now.members, -torch.inf)
    steepest, atom = slope.max(1)
    free = now.members == len(table) - 1
    entering = ~inner & free.any(1) & (steepest > _FLAT * targets.norm(dim=1))
    place = free.to(torch.uint8).argmax(1, keepdim=True)
    atom = torch.where(entering[:, None], atom[:, None], now.members.gather(1, place))
    return now.members.scatter(1, place, atom), entering


def _advanced(table: Tensor, targets: Tensor, now: Sparse) -> tuple[Sparse, Tensor]:
    """Towards the optimum of the members, as far as all stay positive; those that become zero leave.

    Returns
    -------
    tuple
        The coefficients, and (n,) for which pixels the optimum was not reached.
    """
    rows, filled = table[now.members], now.members < len(table) - 1
    gram = rows @ rows.mT
    gram.diagonal(dim1=1, dim2=2).add_(torch.where(filled, 1e-13, 1.0))
    aim = torch.linalg.solve(gram, rows @ targets[:, :, None])[:, :, 0]
    blocked = filled & (aim <= 0)
    share = torch.where(blocked, now.values / (now.values - aim).clamp_min(1e-300), 1.0).amin(1, keepdim=True)
    inner = blocked.any(1, keepdim=True)
    stepped = torch.where(inner, now.values + share * (aim - now.values), aim)
    gone = inner & (stepped <= 1e-14 * stepped.amax(1, keepdim=True))
    members = now.members.masked_fill(gone, len(table) - 1)
    return Sparse(members, torch.where(members < len(table) - 1, stepped, 0.0)), inner[:, 0]
