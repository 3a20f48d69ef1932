"""Looks and experts against numpy and scipy: whitening, gates, features, bound, centres."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from scipy.special import softmax

from stsfusion.learning import experts as module
from stsfusion.learning.experts import REACH, Experts, Looks
from stsfusion.learning.members import clusters

BOUND = 2.0
"""Root mean square of a pixel's features beyond which they are scaled back."""


def image(bands=3, rows=40, cols=50, seed=0):
    """(l, H, W) float32: three clusters of different covariance, smoothed a little."""
    rng = np.random.default_rng(seed)
    kind = uniform_filter(rng.normal(size=(rows, cols)), 5) > 0
    mix = rng.normal(size=(2, bands, bands))
    noise = rng.normal(size=(bands, rows, cols))
    values = np.where(
        kind, np.einsum("ab,byx->ayx", mix[0], noise) + 3.0, np.einsum("ab,byx->ayx", mix[1], noise)
    )
    return torch.from_numpy(0.2 + 0.02 * values).float()


def taught(by=(0, 1, 2), of=(0, 1, 2, 3, 4, 5), count=5, seed=0):
    """Experts, and the (n, 6) looks that they were taught on."""
    picture = image()
    looks = Looks.learn(picture.flatten(1).T)
    seen = looks(picture)
    points = seen.flatten(1).T
    dice = torch.Generator().manual_seed(seed)
    centres = clusters(points[:, by], count, dice)
    return Experts.learn(points, torch.tensor(by), torch.tensor(of), centres), points, seen


def raw_features(experts, points):
    """(n, d) in numpy, from centres and width alone."""
    u = points.double().numpy()
    gates, inputs = experts.gates.numpy(), experts.inputs.numpy()
    far = ((u[:, None, gates] - experts.centres.double().numpy()[None]) ** 2).sum(2)
    g = softmax(-far / float(experts.width), axis=1)
    entry = u[:, inputs]
    products = np.concatenate([g[:, [k]] * entry for k in range(g.shape[1])], 1)
    return np.concatenate([g, products, entry[:, u.shape[1] // 2 :]], 1)


def test_looks_are_white_and_their_neighbourhoods_mean():
    picture = image()
    own, around = Looks.learn(picture.flatten(1).T)(picture).double().numpy().reshape(2, 3, 40, 50)
    flat = own.reshape(3, -1)
    np.testing.assert_allclose(flat.mean(1), 0.0, atol=1e-4)
    np.testing.assert_allclose(flat @ flat.T / flat.shape[1], np.eye(3), atol=1e-4)
    for band, mean in zip(own, around, strict=True):
        np.testing.assert_allclose(uniform_filter(band, 2 * REACH + 1, mode="nearest"), mean, atol=1e-5)


def test_looks_of_a_band_that_repeats_another_stay_finite():
    picture = image()
    doubled = torch.cat([picture, picture[:1], torch.full_like(picture[:1], 0.3)])
    seen = Looks.learn(doubled.flatten(1).T)(doubled)
    assert bool(torch.isfinite(seen).all())
    assert float(seen.abs().max()) < 100.0


@pytest.mark.parametrize(
    ("by", "of"), [((0, 1, 2), (0, 1, 2)), ((3, 4, 5), (0, 1, 2)), (tuple(range(6)), tuple(range(6)))]
)
def test_features_are_those_of_the_formula(by, of):
    experts, points, _ = taught(by, of)
    raw = raw_features(experts, points)
    own = points[:, :3].double().numpy()
    centred = raw - raw.mean(0)
    np.testing.assert_allclose(experts.level.numpy(), raw.mean(0), atol=1e-4)
    linear = np.linalg.lstsq(own, centred, rcond=None)[0]
    rest = centred - own @ linear
    got = experts.features(points).double().numpy()
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest))
    keep = values > 1e-6 * values.max()
    assert got.shape[1] == keep.sum()
    # Whitened features are free up to a turn; products of features with each other are not.
    free = rest @ (vectors[:, keep] / np.sqrt(values[keep]))
    size = np.sqrt((free**2).mean(1))
    free *= np.minimum(1.0, BOUND / size)[:, None]
    np.testing.assert_allclose(got[:200] @ got[:200].T, free[:200] @ free[:200].T, atol=0.02 * got.shape[1])


def test_features_before_the_bound_are_white_and_not_linear_in_the_bands(monkeypatch):
    monkeypatch.setattr(module, "_BOUND", 1e30)
    experts, points, _ = taught()
    free = experts.features(points).double()
    n = len(points)
    torch.testing.assert_close(
        free.T @ free / n, torch.eye(free.shape[1], dtype=torch.float64), atol=5e-3, rtol=0
    )
    assert float((free.T @ points[:, :3].double() / n).abs().max()) < 1e-3
    assert float(free.mean(0).abs().max()) < 1e-3


def test_features_are_bounded_and_the_bound_only_scales(monkeypatch):
    experts, points, _ = taught()
    wild = torch.cat([points, 50.0 * points, -1e4 * points])
    bounded = experts.features(wild)
    size = bounded.square().mean(1).sqrt()
    assert float(size.max()) <= BOUND * 1.0001
    assert float(size[len(points) :].median()) == pytest.approx(BOUND, rel=1e-4)
    monkeypatch.setattr(module, "_BOUND", 1e30)
    free = experts.features(wild)
    same = free.square().mean(1).sqrt() <= BOUND
    assert 0 < int(same.sum()) < len(wild)
    torch.testing.assert_close(bounded[same], free[same])
    turned = torch.nn.functional.cosine_similarity(bounded.double(), free.double(), dim=1)
    assert float(turned.min()) > 1 - 1e-5


def test_pieces_change_nothing(monkeypatch):
    experts, points, seen = taught()
    slope = torch.randn(experts.turn.shape[1], 4, generator=torch.Generator().manual_seed(3))
    whole = experts.apply(seen, slope)
    torch.testing.assert_close(torch.einsum("dyx,dp->pyx", experts.image(seen), slope), whole)
    monkeypatch.setattr(module, "_CHUNK", 37)
    assert experts.apply(seen, slope).shape == (4, 40, 50)
    torch.testing.assert_close(experts.apply(seen, slope), whole, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(
        experts.features(points)[:60].numpy(), experts.features(points[:60]).numpy(), atol=1e-3
    )


def test_a_crop_is_fused_as_the_whole_is():
    picture = image()
    looks = Looks.learn(picture.flatten(1).T)
    seen = looks(picture)
    experts = taught()[0]
    whole = experts.image(seen)
    part = experts.image(looks(picture[:, 7:31, 11:44]))
    inside = part[:, REACH:-REACH, REACH:-REACH]
    torch.testing.assert_close(
        inside, whole[:, 7 + REACH : 31 - REACH, 11 + REACH : 44 - REACH], atol=2e-3, rtol=0
    )
    edge = (part[:, 0] - whole[:, 7, 11:44]).abs().max()
    assert float(edge) > 0.01


def test_width_is_the_mean_squared_distance_to_the_nearest_centre():
    experts, points, _ = taught()
    far = ((points.numpy()[:, None, :3] - experts.centres.numpy()[None]) ** 2).sum(2)
    assert float(experts.width) == pytest.approx(far.min(1).mean(), rel=1e-4)
    assert len(experts.centres) == 5


def test_pixels_that_are_all_alike_make_finite_features():
    experts = Experts.learn(torch.zeros(40, 2), torch.tensor([0]), torch.tensor([0]), torch.zeros(1, 1))
    assert bool(torch.isfinite(experts.features(torch.randn(9, 2))).all())
