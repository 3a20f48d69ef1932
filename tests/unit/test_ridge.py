"""Ridge regression from sums against numpy."""

import numpy as np
import torch

from stsfusion.learning.ridge import Affine, Sums


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(2.0, [1.0, 5.0, 0.1], (2, 6, 7, 3)).transpose(0, 3, 1, 2)
    slope = rng.normal(size=(3, 2))
    y = np.einsum("tiyx,io->toyx", x, slope) + 4.0 + rng.normal(0, 0.05, (2, 2, 6, 7))
    weight = (rng.random((2, 1, 6, 7)) > 0.3).astype(float)
    return (torch.from_numpy(a) for a in (x, y, weight))


def rows(image):
    return image.movedim(1, 0).flatten(1).T.numpy()


def test_without_penalty_it_is_weighted_least_squares():
    x, y, weight = data()
    found = Sums.of(x, y, weight).solve(0.0)
    keep = rows(weight)[:, 0] > 0
    design = np.c_[rows(x), np.ones(len(keep))][keep]
    wanted = np.linalg.lstsq(design, rows(y)[keep], rcond=None)[0]
    np.testing.assert_allclose(found.slope.numpy(), wanted[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.offset.numpy(), wanted[3], rtol=1e-4, atol=1e-4)


def test_the_penalty_is_on_standardised_inputs():
    x, y, weight = data()
    found = Sums.of(x, y, torch.ones_like(weight)).solve(0.3)
    inputs, outputs = rows(x), rows(y)
    z = (inputs - inputs.mean(0)) / inputs.std(0)
    inner = np.linalg.solve(z.T @ z / len(z) + 0.3 * np.eye(3), z.T @ (outputs - outputs.mean(0)) / len(z))
    np.testing.assert_allclose(found.slope.numpy(), inner / inputs.std(0)[:, None], rtol=1e-4, atol=1e-6)


def test_pieces_add_up():
    x, y, weight = data()
    whole = Sums.of(x, y, weight).solve(0.1)
    halves = Sums.of(x[:1], y[:1], weight[:1]) + Sums.of(x[1:], y[1:], weight[1:])
    torch.testing.assert_close(halves.solve(0.1).slope, whole.slope)


def test_constant_inputs_and_no_data_give_zero_slopes():
    x, y, weight = data()
    x[:, 1] = 0.7
    found = Sums.of(x, y, weight).solve(0.0)
    assert float(found.slope[1].abs().max()) == 0.0
    assert bool(torch.isfinite(found.slope).all())
    assert float(Sums.of(x, y, 0 * weight).solve(0.1).slope.abs().max()) == 0.0


def test_what_is_unexplained_is_the_residual_variance():
    x, y, weight = data()
    sums = Sums.of(x, y, weight)
    residual = rows(sums.solve(0.0)(x.float()) - y.float())[rows(weight)[:, 0] > 0]
    np.testing.assert_allclose(sums.unexplained(), residual.var(0).mean(), rtol=1e-3)


def test_an_affine_map_acts_on_channels():
    mapped = Affine(torch.tensor([[1.0, 0.0], [2.0, -1.0]]), torch.tensor([0.5, 0.0]))(torch.ones(1, 2, 2, 2))
    assert mapped[0, :, 0, 0].tolist() == [3.5, -1.0]
