"""Unmixing against plain loops, exhaustive search, and mixtures whose spectra and shares are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.learning.unmixing import abundances, enclosing, on_simplex, room, stride, vertices


def mixtures(count=4, pixels=300, bands=30, purity=1.0, noise=0.0, seed=0):
    """Smooth spectra, shares of at most `purity`, and their mixtures, all float64."""
    dice = np.random.default_rng(seed)
    x = np.linspace(0, 1, bands)[:, None]
    spectra = 0.4 + 0.3 * np.sin(x * dice.uniform(2, 9, count) + dice.uniform(0, 6, count))
    shares = dice.dirichlet(np.full(count, 0.7), 20 * pixels)
    shares = shares[shares.max(1) <= purity][:pixels].T
    if purity == 1.0:
        shares[:, :count] = np.eye(count)
    data = spectra @ shares + noise * dice.standard_normal((bands, shares.shape[1]))
    return spectra, shares, data


def apart(found, true):
    """Largest distance of a true spectrum to the found one nearest to it."""
    return np.abs(found[:, :, None] - true[:, None]).max(0).min(0).max()


# ---------------------------------------------------------------- the simplex


def plain_projection(v):
    """One column: try every size of the support, keep the last that is consistent."""
    ordered = sorted(v, reverse=True)
    threshold = None
    for k in range(1, len(v) + 1):
        tried = (sum(ordered[:k]) - 1) / k
        if ordered[k - 1] > tried:
            threshold = tried
    return [max(x - threshold, 0.0) for x in v]


def test_the_projection_equals_the_loop_over_supports():
    x = np.random.default_rng(0).standard_normal((7, 200)) * np.logspace(-2, 2, 200)
    found = on_simplex(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, np.array([plain_projection(v) for v in x.T]).T, atol=1e-12)
    np.testing.assert_allclose(found.sum(0), 1.0)
    renormalised = np.maximum(x, 1e-9) / np.maximum(x, 1e-9).sum(0)
    assert (((found - x) ** 2).sum(0) <= ((renormalised - x) ** 2).sum(0) + 1e-12).all()


def test_what_is_on_the_simplex_stays():
    inside = np.random.default_rng(1).dirichlet(np.ones(5), 50).T
    np.testing.assert_allclose(on_simplex(torch.from_numpy(inside)).numpy(), inside, atol=1e-15)
    assert on_simplex(torch.full((1, 3), -4.0)).tolist() == [[1.0, 1.0, 1.0]]


# ---------------------------------------------------------------- abundances


def exhaustive(x, endmembers):
    """The best of all supports, each solved with a multiplier for the sum."""
    count, best, kept = endmembers.shape[1], np.inf, None
    for size in range(1, count + 1):
        for support in map(list, combinations(range(count), size)):
            e = endmembers[:, support]
            system = np.block([[e.T @ e, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
            a = np.linalg.solve(system, np.append(e.T @ x, 1.0))[:-1]
            cost = ((x - e @ a) ** 2).sum()
            if a.min() >= 0 and cost < best:
                best, kept = cost, np.zeros(count)
                kept[support] = a
    return kept


def test_abundances_are_the_constrained_least_squares():
    spectra, _, data = mixtures(noise=0.05, pixels=60)
    expected = np.array([exhaustive(x, spectra) for x in data.T]).T
    found = abundances(torch.from_numpy(data), torch.from_numpy(spectra), 3000).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (expected == 0).any(), "the bounds must matter"
    loose = np.linalg.lstsq(spectra, data, rcond=None)[0]
    assert np.abs(loose - expected).max() > 0.05


def test_a_pixel_is_unmixed_without_regard_to_the_others():
    spectra, _, data = mixtures(noise=0.01)
    x, e = torch.from_numpy(data), torch.from_numpy(spectra)
    start = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), data.shape[1]).T)
    whole = abundances(x, e, 40, start)
    torch.testing.assert_close(abundances(x[:, 7:31], e, 40, start[:, 7:31]), whole[:, 7:31])


def test_the_stride_is_the_longest_safe_one():
    spectra, _, data = mixtures()
    e, x = torch.from_numpy(spectra), torch.from_numpy(data)
    assert float(stride(e)) == pytest.approx(1 / np.linalg.eigvalsh(spectra.T @ spectra)[-1])
    assert torch.isfinite(stride(torch.zeros(3, 2)))

    def cost(step, steps):
        return float((x - e @ abundances(x, e, steps, step=step * stride(e))).square().sum())

    assert cost(1.0, 2) < cost(1.0, 1) < cost(0.0, 1)
    assert cost(8.0, 300) > 10 * cost(1.0, 300), "far beyond it the descent does not settle"


# ---------------------------------------------------------------- endmembers


def plain_vertices(data, count, directions, projective):
    """(L, p) that vertex component analysis picks, with the given directions over the bands."""
    mean = data.mean(1, keepdims=True)
    if projective:
        axes = np.linalg.svd(data, full_matrices=False)[0][:, :count]
        y = axes.T @ data
        clean = axes @ y
        y = y / (y.mean(1) @ y)
        draws = directions[:, :-1] @ axes
    else:
        axes = np.linalg.svd(data - mean, full_matrices=False)[0][:, : count - 1]
        y = axes.T @ (data - mean)
        clean = axes @ y + mean
        y = np.vstack([y, np.full(y.shape[1], np.sqrt((y**2).sum(0)).max())])
        draws = np.column_stack([directions[:, :-1] @ axes, directions[:, -1]])
    corners, picked = np.eye(count)[:, -1:], []
    for w in draws:
        f = w - corners @ np.linalg.pinv(corners) @ w
        picked.append(int(np.abs(f @ y).argmax()))
        corners = y[:, picked]
    return clean[:, picked]


@pytest.mark.parametrize(("noise", "projective"), [(1e-4, True), (0.1, False)])
def test_vertices_are_those_of_the_plain_algorithm(noise, projective):
    spectra, _, data = mixtures(noise=noise)
    directions = torch.randn(4, 31, generator=torch.Generator().manual_seed(5), dtype=torch.float64).numpy()
    found = vertices(torch.from_numpy(data), 4, 5).numpy()
    np.testing.assert_allclose(found, plain_vertices(data, 4, directions, projective), atol=1e-9)
    assert np.abs(found - plain_vertices(data, 4, directions, not projective)).max() > 1e-6
    if projective:
        assert apart(found, spectra) < 1e-3


def test_pure_pixels_are_found_whatever_the_seed_and_zero_spectra_are_none():
    spectra, _, data = mixtures()
    data = np.column_stack([data, np.zeros((len(data), 20))])
    for seed in range(5):
        assert apart(vertices(torch.from_numpy(data), 4, seed).numpy(), spectra) < 1e-9


def test_more_vertices_than_dimensions_are_different_pixels():
    _, _, data = mixtures(count=3, pixels=40)
    found = vertices(torch.from_numpy(data), 12, 0)
    assert found.shape == (30, 12)
    assert torch.isfinite(found).all()
    assert len(np.unique(found.numpy().round(9), axis=1).T) == 12


def test_too_many_vertices_are_refused():
    with pytest.raises(ProblemError, match=r"vertices: expected 1 to 5 .* 5 pixels of 9 bands, got 6\."):
        vertices(torch.rand(9, 5), 6, 0)


def test_room_counts_dimensions():
    _, _, data = mixtures(count=4)
    assert room(torch.from_numpy(data), 30) == 4
    assert room(torch.from_numpy(data), 3) == 3
    assert room(torch.ones(6, 10), 30) == 1
    assert room(torch.rand(6, 50), 30) == 6
    assert room(torch.rand(60, 8), 30) == 8


def test_the_small_simplex_finds_spectra_that_no_pixel_has():
    spectra, _, data = mixtures(purity=0.8, pixels=1000)
    x = torch.from_numpy(data)
    corners = vertices(x, 4, 0)
    found = enclosing(x, corners)
    assert apart(corners.numpy(), spectra) > 0.1
    assert apart(found.numpy(), spectra) < 0.03
    shares = np.linalg.lstsq(
        np.vstack([found.numpy(), np.ones(4)]), np.vstack([data, np.ones(data.shape[1])]), rcond=None
    )[0]
    assert shares.min() > -0.02, "every pixel lies within"


def test_a_few_outliers_do_not_move_the_small_simplex():
    spectra, _, data = mixtures(purity=0.8, pixels=1000)
    wild = data.copy()
    wild[:, :3] = spectra @ np.array([[3.0, -1, -0.5, -0.5], [0, 2.5, -1, -0.5], [-1, -1, 0, 3.0]]).T
    x = torch.from_numpy(wild)
    assert apart(vertices(x, 4, 0).numpy(), spectra) > 0.3
    assert apart(enclosing(x, vertices(x, 4, 0), weight=0.2).numpy(), spectra) < 0.1


def test_a_simplex_without_volume_is_left_alone():
    x = torch.rand(5, 1).double() * torch.rand(1, 20).double()
    flat = x[:, [3, 3, 7]]
    assert torch.equal(enclosing(x, flat, 10), flat)
    assert torch.equal(enclosing(x, flat[:, :1], 10), flat[:, :1])
