"""Kriging against Gaussian processes written out on the fine grid, point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from stsfusion.learning import kriging as module
from stsfusion.learning.kriging import HALF, Field, Kriging
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.pairmodel import PairModel

JITTER = 1e-4
"""Share of the variance that is added to keep the covariance invertible."""

SIDE = 2 * HALF + 1

KERNELS = {
    "Gaussian, ratio 3": (3, gaussian_kernel(2.5, 3)),
    "Gaussian, ratio 4, displaced": (4, gaussian_kernel(4.0, 4, (0.7, -0.4), reach=2.0)),
    "box, ratio 2": (2, box_kernel(2)),
}


def model_of(ratio, kernel):
    return PairModel(kernel, torch.ones(1, 1), torch.zeros(1), torch.zeros(2), ratio)


MODEL = model_of(*KERNELS["Gaussian, ratio 3"])


def process(ratio, kernel, length, noise):
    """Conditional mean weights (r², 25), told shares and the variance of k * e, by brute force in numpy.

    e has the correlation exp(−d / length) and such a variance that k * e has 1 − noise of a total of one.
    """
    kernel = kernel.numpy()
    size, margin = len(kernel), (len(kernel) - ratio) // 2
    span = SIDE * ratio + 2 * margin
    places = np.stack(np.meshgrid(np.arange(span), np.arange(span), indexing="ij"), -1).reshape(-1, 2)
    distance = np.sqrt(((places[:, None] - places[None]) ** 2).sum(2))
    fine = np.exp(-distance / length)
    seen = np.zeros((SIDE * SIDE, span, span))
    for i in range(SIDE):
        for j in range(SIDE):
            seen[i * SIDE + j, i * ratio : i * ratio + size, j * ratio : j * ratio + size] = kernel
    seen = seen.reshape(SIDE * SIDE, -1)
    inside = [
        (margin + HALF * ratio + a) * span + margin + HALF * ratio + b
        for a in range(ratio)
        for b in range(ratio)
    ]
    hidden = float((seen @ fine @ seen.T)[0, 0])
    fine *= (1 - noise) / hidden
    total = seen @ fine @ seen.T + (noise + JITTER) * np.eye(SIDE * SIDE)
    cross = fine[inside] @ seen.T
    weights = np.linalg.solve(total, cross.T).T
    after = np.diag(fine)[inside] - (weights * cross).sum(1)
    return weights, 1 - after / np.diag(fine)[inside], hidden


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(("length", "noise"), [(0.5, 0.0), (4.0, 0.1), (12.0, 0.6)])
def test_weights_are_the_conditional_mean_of_a_gaussian_process(kind, length, noise):
    ratio, kernel = KERNELS[kind]
    weights, told, shrunk = module.Field.of(length, model_of(ratio, kernel)).weights(torch.tensor([noise]))
    wanted, share, hidden = process(ratio, kernel, length, noise)
    np.testing.assert_allclose(weights[0].numpy(), wanted, atol=1e-8)
    np.testing.assert_allclose(told[0].numpy(), share, atol=1e-8)
    assert float(shrunk) == pytest.approx(hidden, rel=1e-9)
    assert share.min() > 0
    assert share.max() < 1


def test_mixed_fields_have_the_shares_that_they_say():
    own, other = module.Field.of(5.0, MODEL), module.Field.of(0.05, MODEL)
    for share in (0.0, 0.3, 1.0):
        both = own.mixed_with(other, share)
        wanted = (1 - share) * own.coarse / own.shrunk + share * other.coarse / other.shrunk
        torch.testing.assert_close(both.coarse / both.shrunk, wanted, atol=1e-12, rtol=0)
        assert float(both.mixed.max()) <= 1.0
    variance = (1 - 0.3) / own.shrunk + 0.3 / other.shrunk
    torch.testing.assert_close(own.mixed_with(other, 0.3).shrunk, 1 / variance)


def test_likelihood_is_that_of_the_multivariate_normal():
    rng = np.random.default_rng(0)
    n = SIDE * SIDE
    draws = torch.from_numpy(rng.normal(size=(2, 200, n)) @ rng.normal(size=(n, n)))
    samples = torch.stack([own.T @ own / len(own) for own in draws])
    noise = torch.tensor([0.2, 0.7], dtype=torch.float64)
    for field in (module.Field.of(4.0, MODEL), module.Field.of(0.7, MODEL)):
        got = field.unlikely(samples, noise)
        for own, sample, share, value in zip(draws, samples, noise, got, strict=True):
            cover = (1 - share) * field.coarse / field.shrunk + (share + JITTER) * torch.eye(n)
            scale = (torch.linalg.inv(cover) * sample).sum() / n
            best, *others = (
                float(
                    -2 * MultivariateNormal(torch.zeros(n).double(), by * scale * cover).log_prob(own).mean()
                )
                for by in (1.0, 0.97, 1.03)
            )
            assert float(value) + n * (1 + math.log(2 * math.pi)) == pytest.approx(best, abs=1e-6)
            assert best < min(others)


def test_every_field_has_a_say_as_large_as_it_is_likely():
    """Against the densities of the windows, of as many of them as their pixels make up side by side."""
    noise, count = 0.1, 7
    dice = torch.Generator().manual_seed(4)
    residual = MODEL.lowpass(torch.randn(1, 3 * count, 3 * count, generator=dice, dtype=torch.float64))
    fields = [module.Field.of(length, MODEL) for length in (0.05, 2.0, 6.0)]
    clear = torch.ones(count, count, dtype=torch.bool)
    _, level, _ = module._window_covariance([residual], [clear])
    found = Kriging.learn([residual], [clear], noise * level, fields)
    windows = residual[0].unfold(0, SIDE, 1).unfold(1, SIDE, 1).flatten(2).flatten(0, 1)
    logs = []
    for field in fields:
        cover = (1 - noise) * field.coarse / field.shrunk + (noise + JITTER) * torch.eye(SIDE**2)
        # The scale under which the windows are likeliest.
        scale = torch.einsum("ni,ij,nj->n", windows, torch.linalg.inv(cover), windows).mean() / SIDE**2
        each = MultivariateNormal(torch.zeros(SIDE**2).double(), scale * cover).log_prob(windows)
        logs.append(float(each.mean()) * count**2 / SIDE**2)
    belief = np.exp(np.array(logs) - max(logs))
    belief /= belief.sum()
    assert belief.max() < 0.99, "so few windows leave a doubt"
    parts = [field.weights(torch.tensor([noise])) for field in fields]
    for place, name in enumerate(("weights", "told", "shrunk")):
        wanted = sum(own * part[place] for own, part in zip(belief, parts, strict=True))
        torch.testing.assert_close(getattr(found, name).double(), wanted, atol=1e-6, rtol=0)


def drawn(length, count=40, ratio=3, seed=0):
    """(H, W) field of the correlation exp(−d / length) on a torus, variance one, by its spectrum."""
    size = count * ratio
    steps = np.minimum(np.arange(size), size - np.arange(size))
    correlation = np.exp(-np.hypot(steps[:, None], steps[None]) / length)
    power = np.fft.fft2(correlation).real.clip(0)
    white = np.random.default_rng(seed).normal(size=(size, size))
    return torch.from_numpy(np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power)).real)


def learned(residual, noise=0.0, clear=None):
    clear = torch.ones(residual.shape[1:], dtype=torch.bool) if clear is None else clear
    return Kriging.learn([residual], [clear], torch.full((len(residual),), noise), Field.tried(MODEL))


def test_learning_finds_the_field_and_predicts_nearly_as_its_true_parameters_do():
    fields = torch.stack([drawn(1.0 * 3, seed=1), drawn(3.0 * 3, seed=2), drawn(0.05, seed=3)])
    residual = MODEL.lowpass(fields)
    dice = torch.Generator().manual_seed(0)
    noise = 0.05 * float(residual[0].square().mean())
    residual = residual + noise**0.5 * torch.randn(residual.shape, generator=dice, dtype=torch.float64)
    kriging = learned(residual, noise)
    found = kriging(residual, 3)
    for k, length in enumerate((3.0, 9.0, 0.05)):
        field = module.Field.of(length, MODEL)
        share = noise / float(residual[k].square().mean())
        weights, told, shrunk = (part.float() for part in field.weights(torch.tensor([share])))
        oracle = Kriging(weights, told, shrunk)(residual[k : k + 1], 3)[0]
        least, mine = (float((image - fields[k]).square().mean()) for image in (oracle, found[k]))
        assert mine < 1.04 * least
        # What is told is what is found.
        assert mine / float(fields[k].square().mean()) == pytest.approx(
            1 - float(kriging.told[k].mean()), abs=0.1
        )
        assert float(kriging.shrunk[k]) == pytest.approx(float(shrunk), rel=0.25)


def test_noise_alone_gives_next_to_nothing():
    dice = torch.Generator().manual_seed(0)
    residual = 0.02 * torch.randn(2, 30, 30, generator=dice)
    kriging = learned(residual, 0.02**2)
    assert float(kriging.weights.abs().sum(2).max()) < 0.25
    assert float(kriging(residual, 3).square().mean().sqrt()) < 0.02 * 0.05
    assert float(learned(residual, 0.0).weights.abs().sum(2).max()) > 0.5


def test_a_smooth_residual_is_interpolated():
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    waves = torch.stack([torch.sin(y / 11 + x / 17), torch.cos(y / 14) * torch.sin(x / 9)]).double()
    residual = MODEL.lowpass(waves)
    fine = learned(residual)(residual, 3)
    inside = (slice(None), slice(12, -12), slice(12, -12))
    off = float((fine - waves)[inside].square().mean().sqrt())
    nearest = residual.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert off < 0.02 * float(waves.std())
    assert off < 0.3 * float((nearest - waves)[inside].square().mean().sqrt())


def test_windows_are_laid_where_they_belong():
    rng = np.random.default_rng(0)
    weights, residual = rng.normal(size=(2, 9, SIDE * SIDE)), rng.normal(size=(2, 6, 7))
    kriging = Kriging(torch.from_numpy(weights), torch.zeros(2, 9), torch.ones(2))
    got = kriging(torch.from_numpy(residual), 3).numpy()
    wide = np.pad(residual, ((0, 0), (HALF, HALF), (HALF, HALF)), mode="edge")
    for c, y, x in np.ndindex(2, 18, 21):
        window = wide[c, y // 3 : y // 3 + SIDE, x // 3 : x // 3 + SIDE].ravel()
        assert got[c, y, x] == pytest.approx(weights[c, y % 3 * 3 + x % 3] @ window, abs=1e-10)


def test_covariance_counts_whole_windows_of_all_tiles():
    dice = torch.Generator().manual_seed(0)
    tiles = [torch.randn(2, 9, 8, generator=dice), torch.randn(2, 7, 6, generator=dice)]
    tiles += [torch.full((2, 3, 9), 1e6)]
    clear = [torch.rand(9, 8, generator=dice) > 0.01, torch.ones(7, 6, dtype=torch.bool)]
    clear[0][4, 2] = False
    clear += [torch.ones(3, 9, dtype=torch.bool)]
    got, level, pixels = module._window_covariance(tiles, clear)
    rows = []
    for tile, mask in zip(tiles[:2], clear[:2], strict=True):
        for i in range(mask.shape[0] - SIDE + 1):
            for j in range(mask.shape[1] - SIDE + 1):
                if bool(mask[i : i + SIDE, j : j + SIDE].all()):
                    rows.append(tile[:, i : i + SIDE, j : j + SIDE].flatten(1).double().numpy())
    rows = np.stack(rows, 1)
    assert pixels == int(clear[0].sum()) + 42
    for own, found, scale in zip(rows, got, level, strict=True):
        sample = own.T @ own / len(own)
        assert float(scale) == pytest.approx(np.trace(sample) / SIDE**2, rel=1e-9)
        np.testing.assert_allclose(found.numpy(), sample * SIDE**2 / np.trace(sample), atol=1e-9)


@pytest.mark.parametrize("clear", [True, False])
def test_without_a_whole_window_or_a_residual_it_stays_finite(clear):
    mask = torch.full((4, 9), clear)
    for residual in (torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 4, 9)):
        kriging = learned(residual, 0.01, mask)
        assert all(bool(torch.isfinite(part).all()) for part in kriging.tensors().values())
        assert float(kriging.told.min()) >= 0
        assert float(kriging.told.max()) <= 1


def test_growth_is_that_of_errors_before_kriging_where_nothing_is_told():
    """White fields: a coarse pixel shows the sum of its squared weights, and next to nothing comes back."""
    kriging = Kriging(weights=torch.zeros(2, 4, 25), told=torch.zeros(2, 4), shrunk=torch.tensor([0.25, 1.0]))
    left = torch.tensor([3.0, 5.0])
    torch.testing.assert_close(kriging.growth(left, left), torch.tensor([4.0, 1.0]))
    kriging = Kriging(kriging.weights, torch.full((2, 4), 0.5), kriging.shrunk)
    torch.testing.assert_close(kriging.growth(left, left), torch.tensor([2.0, 0.5]))
    # A fit that goes half of the way to its own pixels errs in the detail of a quarter of the variance.
    torch.testing.assert_close(kriging.growth(left, 0.25 * left), torch.tensor([3.0, 0.75]))
    # A fit that goes all the way tells nothing.
    torch.testing.assert_close(kriging.growth(left, 0.0 * left), torch.tensor([4.0, 1.0]))
