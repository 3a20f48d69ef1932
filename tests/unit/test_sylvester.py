"""The closed forms against a dense least-squares problem that knows nothing of them."""

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.operators.blur import Blur, gaussian_kernel
from stsfusion.operators.sylvester import Sylvester, decimate, folded_spectrum, spread, trimmed

P, BANDS, FINE = 3, 7, 2


def sampling(kernel, ratio, coarse, fine):
    """(coarse pixels, fine pixels) K transposed, entry by entry from the rule in words."""
    k = kernel.shape[0]
    matrix = np.zeros((coarse[0] * coarse[1], fine[0] * fine[1]))
    for i in range(coarse[0]):
        for j in range(coarse[1]):
            for a in range(k):
                for b in range(k):
                    y = (ratio * i + (ratio - k) // 2 + a) % fine[0]
                    x = (ratio * j + (ratio - k) // 2 + b) % fine[1]
                    matrix[i * coarse[1] + j, y * fine[1] + x] += kernel[a, b]
    return matrix


class Case:
    """One small fusion problem with noise weights, and its least-squares answer."""

    def __init__(self, kernel, ratio, coarse=(2, 3), seed=0):
        rng = np.random.default_rng(seed)
        self.kernel, self.ratio, self.size = kernel, ratio, coarse
        fine = (coarse[0] * ratio, coarse[1] * ratio)
        n, m = fine[0] * fine[1], coarse[0] * coarse[1]
        basis, response = rng.normal(size=(BANDS, P)), np.abs(rng.normal(size=(FINE, BANDS)))
        z, y, prior = rng.normal(size=(BANDS, m)), rng.normal(size=(FINE, n)), rng.normal(size=(P, n))
        wz, wy, strength = rng.uniform(0.5, 2, BANDS), rng.uniform(0.5, 2, FINE), 0.3
        s = sampling(kernel.numpy(), ratio, coarse, fine)
        # Unknowns row by row: vec(E U K) = (E ⊗ Kᵀ) vec(U).
        stacked = np.concatenate([
            np.kron(wz[:, None] ** 0.5 * basis, s),
            np.kron(wy[:, None] ** 0.5 * (response @ basis), np.eye(n)),
            strength**0.5 * np.eye(P * n),
        ])  # fmt: skip
        told = [wz[:, None] ** 0.5 * z, wy[:, None] ** 0.5 * y, strength**0.5 * prior]
        rhs = np.concatenate([t.ravel() for t in told])
        dense = np.linalg.solve(stacked.T @ stacked, stacked.T @ rhs)
        self.dense = torch.from_numpy(dense.reshape(P, *fine))
        mixed = response @ basis
        self.a = torch.from_numpy(basis.T * wz @ basis)
        self.g = torch.from_numpy(mixed.T * wy @ mixed + strength * np.eye(P))
        self.d = torch.from_numpy(basis.T * wz @ z).reshape(P, *coarse)
        self.f = torch.from_numpy(mixed.T * wy @ y + strength * prior).reshape(P, *fine)

    def equation(self):
        return Sylvester(self.a, self.g, self.kernel, self.ratio)


def uneven(size, seed=1):
    """A displaced kernel without any symmetry."""
    kernel = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (size, size))) ** 3
    kernel[: size // 3] *= 0.1
    return kernel / kernel.sum()


@pytest.mark.parametrize("ratio, size", [(2, 2), (3, 3), (2, 6), (3, 5), (4, 8), (5, 3), (4, 14)])
def test_the_periodic_form_is_the_least_squares_answer(ratio, size):
    case = Case(uneven(size), ratio)
    torch.testing.assert_close(case.equation().periodic(case.d, case.f), case.dense, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ratio, size", [(2, 2), (3, 3), (4, 4), (5, 3)])
def test_the_block_form_is_the_least_squares_answer(ratio, size):
    case = Case(uneven(size), ratio)
    found = case.equation().blocks(case.d, case.f)
    torch.testing.assert_close(found, case.dense, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, case.equation().periodic(case.d, case.f), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, case.equation().image(case.d, case.f, 3), rtol=0, atol=0)


def test_a_kernel_one_pixel_off_is_another_answer():
    case = Case(uneven(4), 2)
    wrong = Sylvester(case.a, case.g, case.kernel.roll(1, 0), 2).periodic(case.d, case.f)
    assert float((wrong - case.dense).abs().max()) > 1e-2


def test_the_operator_on_a_torus_is_our_blur_away_from_the_edges():
    kernel = uneven(8)
    image = torch.randn(2, 24, 32, dtype=torch.float64)
    plain = Blur(kernel, 4, (1, 2, 24, 32))(image[None])[0]
    torch.testing.assert_close(decimate(image, kernel, 4)[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1])


@pytest.mark.parametrize("ratio, size", [(4, 8), (5, 3), (3, 3), (2, 8)])
def test_spread_is_the_adjoint_of_decimate(ratio, size):
    kernel = uneven(size)
    x = torch.randn(2, 3 * ratio, 4 * ratio, dtype=torch.float64)
    y = torch.randn(2, 3, 4, dtype=torch.float64)
    left, right = (decimate(x, kernel, ratio) * y).sum(), (x * spread(y, kernel, ratio)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_the_folded_spectrum_holds_the_eigenvalues():
    kernel, coarse = uneven(7), (4, 5)
    s = sampling(kernel.numpy(), 3, coarse, (12, 15))
    values = np.sort(np.linalg.eigvalsh(s @ s.T))
    np.testing.assert_allclose(
        np.sort(folded_spectrum(kernel, 3, coarse).ravel().numpy()), values, atol=1e-14
    )


def part_against_whole(share):
    """A place solved in a large image and in a crop with a share of the context that the influence says."""
    torch.manual_seed(0)
    kernel = gaussian_kernel(2.2, 2, (0.4, -0.3)).double()
    case = Case(kernel, 2, (3, 3))
    equation = Sylvester(100.0 * case.a, case.g, kernel, 2)
    margin = int(equation.influence(1e-4) * share)
    d, f = (torch.randn(P, n, n, dtype=torch.float64) for n in (60, 120))
    whole = equation.image(d, f, margin)[:, 56:64, 56:64]
    near, far = 28 - margin, 32 + margin
    part = equation.image(d[:, near:far, near:far], f[:, near * 2 : far * 2, near * 2 : far * 2], margin)
    return float((whole - part[:, margin * 2 : margin * 2 + 8, margin * 2 : margin * 2 + 8]).abs().max())


def test_influence_says_how_much_context_is_needed():
    assert part_against_whole(1.0) < 1e-4
    assert part_against_whole(0.3) > 1e-4


def test_no_influence_without_overlap():
    assert Sylvester(torch.eye(2), torch.eye(2), uneven(3), 3).influence(1e-9) == 0


def test_a_wide_kernel_is_refused_by_the_block_form():
    with pytest.raises(ProblemError, match=r"within 2×2 pixels, got 4×4"):
        Case(uneven(4), 2).equation().blocks(torch.zeros(P, 2, 2), torch.zeros(P, 4, 4))


def test_a_singular_equation_is_refused():
    with pytest.raises(ProblemError, match="positive definite"):
        Sylvester(torch.eye(2), torch.zeros(2, 2), uneven(4), 2).modes()


def test_trimming_takes_empty_rings_only():
    wide = torch.zeros(10, 10, dtype=torch.float64)
    wide[3:7, 3:7] = uneven(4)
    torch.testing.assert_close(trimmed(wide, 4), uneven(4))
    wide[2, 5] = 0.01
    assert trimmed(wide, 4).shape == (6, 6)
    assert trimmed(wide, 6).shape == (6, 6)
