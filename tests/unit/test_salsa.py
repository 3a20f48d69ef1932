"""The alternating directions against a primal-dual iteration written from the function alone."""

import numpy as np
import pytest
import torch

from stsfusion.operators.salsa import Salsa

P, RATIO, COARSE = 2, 2, 4
SIZE = RATIO * COARSE


def sampling(kernel):
    """(coarse pixels, fine pixels) blur and decimation on a torus."""
    k, matrix = len(kernel), np.zeros((COARSE**2, SIZE**2))
    for i in range(COARSE):
        for j in range(COARSE):
            for a in range(k):
                for b in range(k):
                    y, x = (
                        (RATIO * i + (RATIO - k) // 2 + a) % SIZE,
                        (RATIO * j + (RATIO - k) // 2 + b) % SIZE,
                    )
                    matrix[i * COARSE + j, y * SIZE + x] += kernel[a, b]
    return matrix


def edges():
    """(2 · fine pixels, fine pixels) differences to the pixel above and to the left, on a torus."""
    eye = np.eye(SIZE**2).reshape(SIZE, SIZE, -1)
    return np.concatenate([(eye - np.roll(eye, 1, axis)).reshape(SIZE**2, -1) for axis in (0, 1)])


@pytest.fixture(scope="module", params=[2, 4])
def case(request):
    rng = np.random.default_rng(request.param)
    kernel = rng.uniform(0, 1, (request.param, request.param))
    kernel /= kernel.sum()
    basis, mixed = rng.normal(size=(5, P)), rng.normal(size=(1, P))
    truth = np.zeros((P, SIZE, SIZE))
    truth[:, 2:5, 1:6] = [[[1.0]], [[-0.5]]]
    s = sampling(kernel)
    z = basis @ truth.reshape(P, -1) @ s.T + 0.05 * rng.normal(size=(5, COARSE**2))
    y = mixed @ truth.reshape(P, -1) + 0.05 * rng.normal(size=(1, SIZE**2))
    return s, basis, mixed, z, y, kernel


VARIATION = 0.05


def function(case, u):
    """The function to be minimised, of (P, fine pixels), in plain numpy."""
    s, basis, mixed, z, y, _ = case
    slopes = (u @ edges().T).reshape(P, 2, -1)
    told = 0.5 * ((z - basis @ u @ s.T) ** 2).sum() + 0.5 * ((y - mixed @ u) ** 2).sum()
    return told + VARIATION * np.sqrt((slopes**2).sum((0, 1))).sum()


@pytest.fixture(scope="module")
def plain(case):
    return primal_dual(case)


def primal_dual(case, steps=4000):
    """Condat's iteration: gradients of the squares, projections of the dual of the variation."""
    s, basis, mixed, z, y, _ = case
    d, u = edges(), np.zeros((P, SIZE**2))
    dual = u @ d.T
    lipschitz = np.linalg.norm(basis, 2) ** 2 * np.linalg.norm(s, 2) ** 2 + np.linalg.norm(mixed, 2) ** 2
    sigma = 0.5
    tau = 0.99 / (lipschitz / 2 + sigma * 8)
    for _ in range(steps):
        slope = basis.T @ (basis @ u @ s.T - z) @ s + mixed.T @ (mixed @ u - y)
        after = u - tau * (slope + dual @ d)
        pushed = (dual + sigma * (2 * after - u) @ d.T).reshape(P, 2, -1)
        length = np.sqrt((pushed**2).sum((0, 1)))
        dual = (pushed / np.maximum(1.0, length / VARIATION)).reshape(P, -1)
        u = after
    return u


def minimised(case, steps, variation=VARIATION, penalty=0.5):
    _, basis, mixed, z, y, kernel = case
    a, g = torch.from_numpy(basis.T @ basis), torch.from_numpy(mixed.T @ mixed)
    salsa = Salsa(a, g, torch.from_numpy(kernel), RATIO, variation, penalty)
    d = torch.from_numpy(basis.T @ z).reshape(P, COARSE, COARSE)
    f = torch.from_numpy(mixed.T @ y).reshape(P, SIZE, SIZE)
    return salsa, d, f, salsa.minimise(d, f, torch.zeros_like(f), steps)


def test_it_finds_what_a_primal_dual_iteration_finds(case, plain):
    found = minimised(case, 600)[-1]
    np.testing.assert_allclose(found.numpy().reshape(P, -1), plain, atol=2e-4)


def test_another_weight_is_another_answer(case, plain):
    found = minimised(case, 300, variation=2 * VARIATION)[-1]
    assert np.abs(found.numpy().reshape(P, -1) - plain).max() > 5e-3


def test_its_own_cost_is_the_function_but_for_a_constant(case):
    salsa, d, f, found = minimised(case, 50)
    other = torch.zeros_like(found)
    whole = [function(case, u.numpy().reshape(P, -1)) for u in (found, other)]
    own = [float(salsa.cost(u, d, f)) for u in (found, other)]
    assert own[0] - own[1] == pytest.approx(whole[0] - whole[1], rel=1e-10)


def test_more_steps_come_nearer_and_the_penalty_does_not_matter_in_the_end(case, plain):
    best = function(case, plain)
    gaps = [function(case, minimised(case, n)[-1].numpy().reshape(P, -1)) - best for n in (5, 50, 300)]
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]
    other = minimised(case, 600, penalty=0.2)[-1]
    np.testing.assert_allclose(other.numpy().reshape(P, -1), plain, atol=1e-3)
