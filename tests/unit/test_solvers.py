"""Proximal steps and differences against what defines them."""

import pytest
import torch

from stsfusion.operators.solvers import differences, divergence, group_soft, vector_variation


def image(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("axes", [(0,), (0, 1)])
def test_group_soft_minimises_what_it_should(axes):
    x, t = image(2, 3, 4, 5), 0.8

    def cost(u):
        return t * torch.linalg.vector_norm(u, dim=axes).sum() + 0.5 * (u - x).square().sum()

    best = group_soft(x, t, axes)
    assert bool((torch.linalg.vector_norm(best, dim=axes) == 0).any()) or axes == (0, 1)
    for seed in range(20):
        step = image(2, 3, 4, 5, seed=seed + 1)
        for size in (1e-1, 1e-3):
            assert float(cost(best + size * step)) > float(cost(best))


def test_group_soft_of_single_numbers_is_soft():
    x = torch.tensor([[-2.0, -0.5, 0.0, 0.5, 2.0]])
    torch.testing.assert_close(group_soft(x, 1.0, (0,)), torch.tensor([[-1.0, 0.0, 0.0, 0.0, 1.0]]))


def test_group_soft_of_nothing_is_nothing():
    assert torch.equal(group_soft(torch.zeros(2, 3), 0.1, (0,)), torch.zeros(2, 3))


def test_divergence_is_the_adjoint_of_differences():
    x, d = image(3, 5, 6), image(2, 3, 5, 6, seed=1)
    assert float((differences(x) * d).sum()) == pytest.approx(float((x * divergence(d)).sum()), rel=1e-12)


def test_variation_counts_edges_once_for_all_channels():
    square = torch.zeros(2, 8, 8)
    square[0, 2:5, 3:6], square[1, 2:5, 3:6] = 3.0, 4.0
    # Each of four sides of three pixels, 5 high; where the upper and the left one meet, a diagonal takes
    # the place of two.
    assert float(vector_variation(square)) == pytest.approx(5.0 * (12 - 2 + 2**0.5))
