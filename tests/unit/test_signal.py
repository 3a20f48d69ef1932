"""Noise of bands and number of components, on data whose noise and rank are known."""

import numpy as np
import pytest
import torch

from stsfusion.learning.signal import neighbour_noise, sampled_noise, signal_space, texture_noise


def scene(pixels=400, bands=120, rank=5, noise=0.004, seed=0):
    """Smooth spectra in random shares, fewer than four pixels a band."""
    rng = np.random.default_rng(seed)
    nm = np.linspace(400, 2400, bands)
    spectra = 0.5 * np.exp(-0.5 * ((nm - np.linspace(500, 2300, rank)[:, None]) / 300.0) ** 2)
    sd = noise * np.linspace(0.5, 2.0, bands)
    clean = rng.normal(1.0, 0.4, (pixels, rank)) @ spectra
    return torch.from_numpy(clean + sd * rng.normal(size=clean.shape)), torch.from_numpy(nm), sd


def test_noise_is_found_with_few_pixels():
    pixels, nm, sd = scene()
    np.testing.assert_allclose(neighbour_noise(pixels, nm).numpy(), sd, rtol=0.25)


def test_order_of_bands_does_not_matter():
    pixels, nm, _ = scene()
    mixed = torch.randperm(len(nm), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        neighbour_noise(pixels[:, mixed], nm[mixed]), neighbour_noise(pixels, nm)[mixed]
    )


def test_neighbour_noise_is_the_residual_of_a_regression():
    pixels, nm, _ = scene(bands=4, pixels=30)
    x = pixels.numpy() - pixels.numpy().mean(0)
    for band, near in ((0, [1, 2]), (1, [0, 2]), (3, [1, 2])):
        weights, left, *_ = np.linalg.lstsq(x[:, near], x[:, band], rcond=None)
        plain = np.sqrt(left[0] / 27 / (1 + (weights**2).sum()))
        assert float(neighbour_noise(pixels, nm)[band]) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("rank", [3, 5])
def test_components_above_the_noise_are_kept(rank):
    pixels, nm, _ = scene(rank=rank)
    assert signal_space(pixels, nm).rank == rank


def test_pure_noise_has_one_component_at_most():
    pixels = torch.randn(300, 80, generator=torch.Generator().manual_seed(0))
    assert signal_space(pixels, torch.arange(80.0), noise=torch.ones(80)).rank == 1


def test_a_rank_that_is_asked_for_is_given():
    pixels, nm, _ = scene()
    assert signal_space(pixels, nm, rank=9).rank == 9
    assert signal_space(pixels, nm, most=2).rank == 2


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_few_bands_make_no_trouble(bands):
    pixels = torch.rand(20, bands, generator=torch.Generator().manual_seed(0))
    space = signal_space(pixels, torch.arange(float(bands)))
    assert bool(torch.isfinite(space.basis).all())
    assert bool(torch.isfinite(neighbour_noise(torch.ones(20, bands), torch.arange(float(bands)))).all())


def textured(noise, size=96, seed=0):
    """Two fields of rough texture, common to all bands, and white noise."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(2, size, size))
    shares = rng.uniform(0.2, 1.0, (len(noise), 2))
    clean = np.tensordot(shares, fields, 1)
    return torch.from_numpy(clean + np.array(noise)[:, None, None] * rng.normal(size=clean.shape))


def test_texture_that_bands_share_is_no_noise():
    noise = [0.01, 0.02, 0.015, 0.03, 0.01, 0.02]
    found = texture_noise([textured(noise, seed=s) for s in range(2)]).numpy() / noise
    assert found.min() > 0.5
    assert found.max() < 2.0
    one = texture_noise([textured(noise)[:1]])
    assert float(one) > 0.2


def test_texture_noise_is_the_residual_of_a_regression():
    image = textured([0.1, 0.2, 0.3], size=12)
    mask = np.outer([1, -2, 1], [1, -2, 1])
    plain = image.numpy()
    windows = np.lib.stride_tricks.sliding_window_view(plain, (3, 3), (1, 2))
    rough = (windows * mask).sum((3, 4)).reshape(3, -1)
    for b in range(3):
        others = rough[[i for i in range(3) if i != b]].T
        weights, left, *_ = np.linalg.lstsq(others, rough[b], rcond=None)
        sd = np.sqrt(left[0] / 100 / 36 / (1 + (weights**2).sum()))
        assert float(texture_noise([image])[b]) == pytest.approx(sd, rel=1e-5)


def test_images_without_texture_have_no_noise():
    assert bool((texture_noise([torch.ones(2, 8, 8), torch.ones(2, 2, 2)]) < 1e-9).all())


def components(strength, pixels=600, bands=200, sd=0.5, seed=0):
    """Power of the scores of components that were learned from their pixels, and of the noise in them."""
    rng = np.random.default_rng(seed)
    clean = np.zeros((pixels, bands))
    clean[:, : len(strength)] = sd * np.sqrt(strength) * rng.normal(size=(pixels, len(strength)))
    noise = sd * rng.normal(size=clean.shape)
    turned = np.linalg.svd(clean + noise, full_matrices=False)[2].T
    scores = (clean + noise) @ turned
    return (scores**2).mean(0), ((noise @ turned) ** 2).mean(0)


@pytest.mark.parametrize("pixels", [300, 600, 5000])
def test_noise_of_components_that_pixels_chose_is_larger_than_that_of_others(pixels):
    power, planted = components([1000.0, 100.0, 10.0, 3.0], pixels=pixels)
    fresh = torch.full((200,), 0.25, dtype=torch.float64)
    found = sampled_noise(torch.from_numpy(power), fresh, 200 / pixels).numpy()
    assert bool((found <= power * (1 + 1e-12)).all())
    np.testing.assert_allclose(found[:4], planted[:4], rtol=0.25)
    # Nothing but noise: as much as the pixels show, which is up to three times more than in fresh ones.
    np.testing.assert_allclose(found[6:64], planted[6:64], rtol=0.08)
    assert found[6] / 0.25 == pytest.approx((1 + np.sqrt(200 / pixels)) ** 2, rel=0.15)


def test_without_noise_or_signal_it_is_nothing():
    power = torch.tensor([1.0, 1e-6, 0.0], dtype=torch.float64)
    assert sampled_noise(power, torch.zeros(3, dtype=torch.float64), 0.3).tolist() == [0.0, 0.0, 0.0]
    dark = sampled_noise(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), 0.3)
    assert dark.tolist() == [0.0, 0.0, 0.0]
