"""Noise-whitened principal components against numpy."""

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.learning.subspace import Subspace, band_noise


def mixed(pixels=900, bands=14, noise=None, seed=3):
    """Three spectra in random shares, with noise that differs from band to band."""
    rng = np.random.default_rng(seed)
    spectra = np.abs(rng.normal(0.3, 0.1, (3, bands)))
    noise = np.linspace(0.001, 0.02, bands) if noise is None else noise
    clean = rng.dirichlet([1, 1, 1], pixels) @ spectra
    return clean, clean + rng.normal(size=(pixels, bands)) * noise, noise


def test_whitened_components_match_numpy():
    _, noisy, noise = mixed()
    mine = Subspace.learn([torch.from_numpy(noisy)], rank=2, noise=torch.from_numpy(noise))
    centred = (noisy - noisy.mean(0)) / noise
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    plain = (left[:, :2] * values[:2] @ right[:2]) * noise + noisy.mean(0)
    scores, _ = mine.project(as_image(noisy), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    np.testing.assert_allclose(mine.expand(scores)[0, :, 0].T.numpy(), plain, atol=2e-6)
    np.testing.assert_allclose(scores.var(dim=3, correction=0).numpy().ravel(), 1.0, rtol=1e-4)


def as_image(pixels):
    return torch.from_numpy(pixels).float().T[None, :, None, :]


def test_pieces_add_up_to_the_whole():
    _, noisy, _ = mixed()
    whole = torch.from_numpy(noisy)
    one = Subspace.learn([whole], rank=2)
    two = Subspace.learn([whole[:100], whole[100:100], whole[100:]], rank=2)
    for name, tensor in one.tensors().items():
        torch.testing.assert_close(two.tensors()[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("by", [2.0**-20, 2.0**20])
def test_a_unit_is_only_a_unit(by):
    _, noisy, _ = mixed()
    pixels = torch.from_numpy(noisy)
    once, other = Subspace.learn([pixels], rank=3), Subspace.learn([pixels * by], rank=3)
    torch.testing.assert_close(other.basis / by, once.basis)
    torch.testing.assert_close(other.analysis * by, once.analysis)
    torch.testing.assert_close(other.noise / by, once.noise)


def test_noise_is_found_where_bands_explain_each_other():
    _, noisy, noise = mixed(pixels=20000)
    found = band_noise(torch.from_numpy(np.cov(noisy.T)), 20000).numpy()
    np.testing.assert_allclose(found[4:], noise[4:], rtol=0.15)
    assert found[0] < 0.5 * found[-1]


def test_noisy_bands_weigh_less_than_with_plain_components():
    clean, noisy, _ = mixed(noise=np.r_[np.full(7, 0.001), np.full(7, 0.2)])
    valid = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    errors = []
    for noise in (None, torch.ones(14)):
        space = Subspace.learn([torch.from_numpy(noisy)], rank=2, noise=noise)
        scores, _ = space.project(as_image(noisy), valid)
        errors.append(float((space.expand(scores) - as_image(clean))[:, :7].square().mean()))
    assert errors[0] < 0.1 * errors[1]


def test_the_share_of_variance_limits_the_rank():
    _, noisy, noise = mixed()
    space = Subspace.learn([torch.from_numpy(noisy)], rank=10, share=0.5, noise=torch.from_numpy(noise))
    assert space.rank < 3


def test_a_missing_band_is_rebuilt_from_the_others():
    clean, noisy, _ = mixed(noise=np.full(14, 1e-4))
    space = Subspace.learn([torch.from_numpy(noisy)], rank=2)
    image = as_image(clean)
    valid = torch.ones(1, 14, 1, image.shape[3], dtype=torch.bool)
    valid[:, 5, :, ::2] = False
    broken = torch.where(valid, image, 7.0)
    scores, usable = space.project(broken, valid, passes=60)
    assert bool(usable.all())
    torch.testing.assert_close(space.expand(scores), image, atol=2e-3, rtol=0)


def test_a_pixel_without_half_its_bands_is_not_used():
    _, noisy, _ = mixed()
    space = Subspace.learn([torch.from_numpy(noisy)], rank=2)
    valid = torch.ones(1, 14, 1, 900, dtype=torch.bool)
    valid[:, :8, :, 0] = False
    scores, usable = space.project(as_image(noisy), valid)
    assert not usable[0, 0, 0, 0]
    assert float(scores[..., 0].abs().max()) == 0.0
    assert bool(usable[..., 1:].all())


def test_too_few_pixels_are_refused():
    with pytest.raises(ProblemError, match="at least two valid"):
        Subspace.learn([torch.zeros(1, 5)], rank=2)
