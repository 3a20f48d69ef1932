"""The pursuit of many patches at once: its optima, its choices, and that patches do not know each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning.pursuit import Sparse, active_set, pursue
from stsfusion.operators.nnls import nnls


def table(atoms: int, bands: int, seed: int = 0) -> torch.Tensor:
    dice = torch.Generator().manual_seed(seed)
    rows = torch.rand(atoms, bands, generator=dice, dtype=torch.float64) ** 2
    return rows / rows.norm(dim=1, keepdim=True)


def dense(found: Sparse, atoms: int) -> torch.Tensor:
    return found.times(torch.eye(atoms, dtype=torch.float64))


@pytest.mark.parametrize(("atoms", "bands"), [(5, 8), (20, 6), (9, 1), (1, 3)])
def test_the_conditions_of_the_optimum_hold(atoms, bands):
    """x ≥ 0, no slope downward, and no slope where x is positive."""
    rows = table(atoms, bands)
    targets = torch.randn(300, bands, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets[:100] = targets[:100].abs()
    allowed = torch.rand(300, atoms, generator=torch.Generator().manual_seed(2)) < 0.7
    found = dense(active_set(rows, targets, allowed, Sparse.nothing(targets, atoms)), atoms)
    slope = (targets - found @ rows) @ rows.T
    assert float(found.min()) >= 0
    assert not bool(found[~allowed].any())
    assert float(slope[allowed].max()) < 1e-7
    assert float(slope[found > 0].abs().max()) < 1e-7


def test_one_by_one_it_is_the_exact_solver():
    rows = table(5, 8)
    targets = torch.randn(40, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    allowed = torch.ones(40, 5, dtype=torch.bool)
    found = dense(active_set(rows, targets, allowed, Sparse.nothing(targets, 5)), 5)
    for target, one in zip(targets, found, strict=True):
        np.testing.assert_allclose(one, nnls(rows @ rows.T, rows @ target), atol=1e-8)


def test_it_goes_on_from_an_optimum_over_fewer_atoms():
    rows = table(5, 8)
    targets = torch.rand(40, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    every = torch.ones(40, 5, dtype=torch.bool)
    first = active_set(rows, targets, every & (torch.arange(5) < 3), Sparse.nothing(targets, 5))
    on, fresh = (active_set(rows, targets, every, start) for start in (first, Sparse.nothing(targets, 5)))
    torch.testing.assert_close(dense(on, 5), dense(fresh, 5), atol=1e-8, rtol=0)


def test_a_dictionary_with_twins_is_no_trouble():
    rows = table(4, 6).repeat_interleave(3, 0)
    targets = torch.rand(50, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    allowed = torch.ones(50, 12, dtype=torch.bool)
    found = active_set(rows, targets, allowed, Sparse.nothing(targets, 12))
    single = active_set(rows[::3], targets, allowed[:, ::3], Sparse.nothing(targets, 4))
    torch.testing.assert_close(found.times(rows), single.times(rows[::3]), atol=1e-6, rtol=0)


def test_the_atoms_that_join_first_are_the_most_alike_over_the_whole_patch():
    rows = torch.eye(4, dtype=torch.float64)
    patch = torch.tensor([[[9.0, 8.0, 0.1, 0.2], [0.0, 1.0, 0.1, 0.3]]], dtype=torch.float64)
    found = dense(pursue(patch, rows, 1, 0.5), 4)
    assert found[:, 0].tolist() == [0.0, 0.0]
    assert found[:, 1].tolist() == pytest.approx([8.0, 1.0])
    assert not found[:, 2:].any()
    more = dense(pursue(patch, rows, 1, 1.0), 4)
    torch.testing.assert_close(more, patch[0], atol=1e-9, rtol=0)


def test_patches_go_their_own_way():
    rows = table(12, 4)
    patches = torch.rand(9, 5, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    patches[3] = 0.0
    together = dense(pursue(patches, rows, 4, 0.99), 12).reshape(9, 5, 12)
    for patch, one in zip(patches, together, strict=True):
        torch.testing.assert_close(dense(pursue(patch[None], rows, 4, 0.99), 12), one, atol=1e-9, rtol=0)
    assert not together[3].any()
    assert together[0].any()
