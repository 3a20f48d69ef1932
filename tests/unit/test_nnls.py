"""Non-negative least squares against a search over all supports, optimality conditions and another solver."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls as other_nnls

from stsfusion.operators.nnls import nnls, nnls_sweeps


def problem(n: int, seed: int, rows: int | None = None, scales: float = 0.0):
    """A tall random A and b; columns in units that spread over 10^±scales."""
    dice = np.random.default_rng(seed)
    a = dice.normal(size=(rows or 3 * n, n)) * 10.0 ** dice.uniform(-scales, scales, n)
    return a, dice.normal(size=len(a)) + a.mean(1)


def normal(a: np.ndarray, b: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(a.T @ a), torch.from_numpy(a.T @ b)


def cost(gram, rhs, x) -> float:
    return float(0.5 * x @ gram @ x - x @ rhs)


def by_search(gram: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """The cheapest of all least-squares solutions on a support that are not negative."""
    best, least = np.zeros(len(rhs)), 0.0
    for size in range(1, len(rhs) + 1):
        for support in map(list, combinations(range(len(rhs)), size)):
            part = np.linalg.solve(gram[np.ix_(support, support)], rhs[support])
            x = np.zeros(len(rhs))
            x[support] = part
            if (part >= 0).all() and cost(gram, rhs, x) < least:
                best, least = x, cost(gram, rhs, x)
    return best


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_search_over_all_supports(seed: int):
    gram, rhs = normal(*problem(1 + seed % 6, seed, scales=seed % 4))
    np.testing.assert_allclose(nnls(gram, rhs).numpy(), by_search(gram.numpy(), rhs.numpy()), rtol=1e-9)


@pytest.mark.parametrize(("n", "rows"), [(40, 120), (120, 130), (144, 300)])
@pytest.mark.parametrize("scales", [0.0, 3.0])
def test_meets_the_conditions_of_optimality(n: int, rows: int, scales: float):
    a, b = problem(n, n, rows, scales)
    gram, rhs = normal(a, b)
    x = nnls(gram, rhs)
    unit = gram.diagonal().sqrt()
    slope = (gram @ x - rhs) / unit
    assert bool((x >= 0).all())
    assert float(slope.min()) >= -1e-8
    assert float((slope * x * unit).abs().max()) <= 1e-8
    assert 0 < int((x == 0).sum()) < n
    np.testing.assert_allclose(x.numpy() * unit.numpy(), other_nnls(a, b)[0] * unit.numpy(), atol=1e-7)


def test_what_pushes_down_everywhere_gives_zero():
    gram, rhs = normal(*problem(8, 0))
    assert not nnls(gram, -rhs.abs()).any()
    assert not nnls(gram, torch.zeros_like(rhs)).any()


def test_a_limit_gives_something_that_is_not_negative():
    gram, rhs = normal(*problem(60, 3, 70))
    assert bool((nnls(gram, rhs, limit=1) >= 0).all())


def test_sweeps_never_raise_the_cost_and_reach_the_optimum():
    gram, rhs = normal(*problem(12, 5, 60))
    best = cost(gram, rhs, nnls(gram, rhs))
    x, last = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), torch.inf
    for _ in range(60):
        x = nnls_sweeps(gram, rhs, x, sweeps=1)
        now = cost(gram, rhs, x)
        assert now <= last + 1e-12
        assert bool((x >= 0).all())
        last = now
    assert last - best < 1e-8 * abs(best)


def test_many_problems_at_once_are_each_solved_alone():
    gram, _ = normal(*problem(6, 9))
    rhs = torch.randn(4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    many = nnls_sweeps(gram, rhs, sweeps=200)
    for place in np.ndindex(4, 5):
        torch.testing.assert_close(many[place], nnls(gram, rhs[place]), rtol=0, atol=1e-7)


def test_a_coordinate_without_a_column_stays_zero_and_the_start_is_kept():
    gram, rhs = normal(*problem(5, 11))
    gram[2], gram[:, 2] = 0.0, 0.0
    start = torch.ones(5, dtype=torch.float64)
    found = nnls_sweeps(gram, rhs, start, sweeps=100)
    assert float(found[2]) == 0.0
    assert bool((start == 1).all())
    rest = [0, 1, 3, 4]
    torch.testing.assert_close(found[rest], nnls(gram[rest][:, rest], rhs[rest]), rtol=0, atol=1e-9)
