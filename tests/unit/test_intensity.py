"""The sharp band that stands for a hyperspectral one: against numpy and the conditions of the optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.learning.intensity import detail, gains, intensity, joint_sums
from stsfusion.learning.pair import Pair
from stsfusion.operators.pairmodel import PairModel


def scene(seed: int = 0, rows: int = 8) -> tuple[Pair, PairModel]:
    dice = np.random.default_rng(seed)
    fine = torch.from_numpy(dice.random((3, 3 * rows, 24))).float()
    kernel = torch.from_numpy(dice.random((5, 5)))
    model = PairModel(kernel / kernel.sum(), torch.eye(3, 5), torch.zeros(3), torch.zeros(2), 3)
    mix = torch.from_numpy(dice.standard_normal((5, 3))).float()
    coarse = torch.einsum("bl,lyx->byx", mix, model.lowpass(fine)) + 0.4
    coarse += 0.05 * torch.from_numpy(dice.standard_normal(coarse.shape)).float()
    clear = torch.from_numpy(dice.random(coarse.shape[1:]) > 0.2)
    known = torch.ones(fine.shape[1:], dtype=torch.bool)
    covers = torch.ones(3, 5, dtype=torch.bool)
    return Pair(coarse, fine, clear, known, covers, torch.arange(5.0), 3, 0.0, None, None), model


def plain(pair: Pair, model: PairModel) -> tuple[np.ndarray, np.ndarray]:
    low = blurred(pair.fine.numpy(), model.kernel.numpy(), 3)
    where = pair.clear.numpy()
    return low[:, where], pair.coarse.double().numpy()[:, where]


def test_linear_is_least_squares_with_an_offset():
    pair, model = scene()
    y, z = plain(pair, model)
    design = np.vstack([y, np.ones(y.shape[1])]).T
    expected, *_ = np.linalg.lstsq(design, z.T, rcond=None)
    found = intensity(joint_sums([pair], model), "linear", 0.0)
    np.testing.assert_allclose(found.slope.numpy(), expected[:-1], atol=2e-5)
    np.testing.assert_allclose(found.offset.numpy(), expected[-1], atol=2e-5)
    np.testing.assert_allclose(gains(joint_sums([pair], model), found).numpy(), 1.0, atol=1e-4)


def test_nonnegative_fulfils_the_conditions_of_the_optimum():
    """x ≥ 0, slope of the cost ≥ 0, and one of the two zero, everywhere."""
    pair, model = scene()
    y, z = plain(pair, model)
    found = intensity(joint_sums([pair], model), "nonnegative", 0.0)
    x = np.vstack([found.slope.numpy(), found.offset.numpy()]).astype(float)
    design = np.vstack([y, np.ones(y.shape[1])]).T
    slope = design.T @ (design @ x - z.T) / len(design)
    assert x.min() >= 0
    assert (x == 0).any()
    assert (x > 0).any()
    assert slope.min() > -1e-6
    np.testing.assert_allclose(x * slope, 0.0, atol=1e-6)


def test_band_takes_the_most_correlated_one_and_the_gain_scales_it():
    pair, model = scene()
    y, z = plain(pair, model)
    found = intensity(joint_sums([pair], model), "band")
    gain = gains(joint_sums([pair], model), found).numpy()
    for b, band in enumerate(z):
        best = max(range(3), key=lambda one: np.corrcoef(y[one], band)[0, 1])
        assert found.slope[:, b].tolist() == [float(one == best) for one in range(3)]
        expected = np.cov(y[best], band, ddof=0)
        assert gain[b] == pytest.approx(expected[0, 1] / expected[0, 0], rel=1e-4)
    assert not found.offset.any()


def test_sums_of_tiles_add_up_in_any_order():
    one, model = scene()
    other, _ = scene(1, rows=6)
    forth, back = joint_sums([one, other], model), joint_sums([other, one], model)
    torch.testing.assert_close(forth.second, back.second)
    assert float(forth.count) == float(one.clear.sum() + other.clear.sum())


def test_a_flat_intensity_has_no_gain():
    pair, model = scene()
    pair.fine[:] = 0.25
    sums = joint_sums([pair], model)
    for rule in ("linear", "nonnegative", "band"):
        made = gains(sums, intensity(sums, rule))
        assert bool(torch.isfinite(made).all())
        assert float(detail(pair.fine, model).abs().max()) < 1e-6


def test_detail_is_what_the_coarse_sensor_does_not_see():
    pair, model = scene()
    square = model.kernel.numpy()
    square = (square + square[::-1, ::-1]) / 2
    even = PairModel(torch.from_numpy(square.copy()), model.response, model.misfit, model.moved, 3)
    fine = pair.fine.numpy().astype(float)
    expected = fine - enlarged(blurred(fine, square, 3), 3)
    np.testing.assert_allclose(detail(pair.fine, even).numpy(), expected, atol=1e-5)
