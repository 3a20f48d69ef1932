"""Every metric against independent implementations: scikit-image, torchmetrics, plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from stsfusion.errors import ProblemError
from stsfusion.quality import metric as metric_module
from stsfusion.quality.metrics import CC, ERGAS, MRAE, PSNR, RMSE, SAM, SSIM, UIQI, choose, metrics

BANDS, ROWS, COLS = 5, 26, 23


@pytest.fixture
def date():
    """A smooth truth in reflectance and a disturbed answer, (band, y, x) float32."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:ROWS, :COLS] / 8.0
    truth = np.stack([0.3 + 0.2 * np.sin(y + b) * np.cos(x - b) for b in range(BANDS)])
    image = truth * 1.03 + 0.02 * rng.standard_normal(truth.shape)
    return torch.tensor(image, dtype=torch.float32), torch.tensor(truth, dtype=torch.float32)


def _numpy(date):
    return tuple(x.double().numpy() for x in date)


def test_cc_is_numpys(date):
    a, t = _numpy(date)
    wanted = np.mean([np.corrcoef(a[b].ravel(), t[b].ravel())[0, 1] for b in range(BANDS)])
    assert CC(*date) == pytest.approx(wanted, rel=1e-10)


def test_sam_is_the_arc_cosine_pixel_by_pixel(date):
    a, t = _numpy(date)
    angles = []
    for i in range(ROWS):
        for j in range(COLS):
            cosine = a[:, i, j] @ t[:, i, j] / np.linalg.norm(a[:, i, j]) / np.linalg.norm(t[:, i, j])
            angles.append(math.degrees(math.acos(min(1.0, cosine))))
    assert SAM(*date) == pytest.approx(np.mean(angles), rel=1e-8)


def test_sam_is_torchmetrics(date):
    functional = pytest.importorskip("torchmetrics.functional.image")
    wanted = functional.spectral_angle_mapper(*(x.double()[None] for x in date)).rad2deg().item()
    assert SAM(*date) == pytest.approx(wanted, rel=1e-8)


def test_sam_resolves_angles_that_an_arc_cosine_cannot():
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)[:, None]
    image = torch.tensor([[1.0, 1e-9], [1e-9, 1.0]], dtype=torch.float64)[:, None]
    assert SAM(image, truth) == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_psnr_is_scikit_images_with_the_bands_own_peak(date):
    a, t = _numpy(date)
    wanted = np.mean([peak_signal_noise_ratio(t[b], a[b], data_range=t[b].max()) for b in range(BANDS)])
    assert PSNR(*date) == pytest.approx(wanted, rel=1e-10)
    assert PSNR(*date) != pytest.approx(peak_signal_noise_ratio(t, a, data_range=t.max()), rel=1e-4)


def test_ssim_is_scikit_images(date):
    a, t = _numpy(date)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    values = [structural_similarity(t[b], a[b], data_range=np.ptp(t[b]), **options) for b in range(BANDS)]
    assert SSIM(*date) == pytest.approx(np.mean(values), rel=1e-9)


def test_rmse_is_the_mean_over_bands_of_the_root(date):
    a, t = _numpy(date)
    assert RMSE(*date) == pytest.approx(np.mean(np.sqrt(((a - t) ** 2).mean((1, 2)))), rel=1e-12)


@pytest.mark.parametrize("ratio", [2, 3])
def test_ergas_is_the_formula_and_torchmetrics(date, ratio):
    a, t = _numpy(date)
    relative = [((a[b] - t[b]) ** 2).mean() / t[b].mean() ** 2 for b in range(BANDS)]
    assert ERGAS(*date, ratio=ratio) == pytest.approx(100 / ratio * math.sqrt(np.mean(relative)), rel=1e-12)
    functional = pytest.importorskip("torchmetrics.functional.image")
    theirs = functional.error_relative_global_dimensionless_synthesis(
        *(x.double()[None] for x in date), ratio=ratio
    )
    assert ERGAS(*date, ratio=ratio) == pytest.approx(theirs.item(), rel=1e-9)


def test_uiqi_is_the_formula_window_by_window(date):
    a, t = _numpy(date)
    values = []
    for b in range(BANDS):
        for i in range(ROWS - 7):
            for j in range(COLS - 7):
                u, v = a[b, i : i + 8, j : j + 8], t[b, i : i + 8, j : j + 8]
                cov = ((u - u.mean()) * (v - v.mean())).mean()
                light = u.mean() ** 2 + v.mean() ** 2
                values.append(4 * cov * u.mean() * v.mean() / (u.var() + v.var()) / light)
    assert UIQI(*date) == pytest.approx(np.mean(values), rel=1e-9)


def test_mrae_is_the_formula_without_zeros(date):
    image, truth = date[0], date[1].clone()
    truth[1, 3:9, 4] = 0.0
    a, t = _numpy((image, truth))
    values = [np.mean(np.abs(a[b] - t[b])[t[b] != 0] / np.abs(t[b])[t[b] != 0]) for b in range(BANDS)]
    assert MRAE(image, truth) == pytest.approx(np.mean(values), rel=1e-12)


@pytest.mark.parametrize("name", ["cc", "psnr", "rmse", "mrae", "ergas", "sam"])
def test_a_mask_counts_the_chosen_pixels_alone(date, name):
    image, truth = date
    valid = torch.zeros(1, ROWS, COLS, dtype=torch.bool)
    valid[:, 4:20, 5:19] = True
    holed = image.where(valid, torch.nan)
    assert metrics()[name](holed, truth, valid=valid) == pytest.approx(
        metrics()[name](image[:, 4:20, 5:19], truth[:, 4:20, 5:19]), rel=1e-12
    )


@pytest.mark.parametrize("metric", [SSIM, UIQI], ids=lambda m: m.name)
def test_windows_that_touch_a_gap_do_not_count(date, metric):
    image, truth = date
    valid = torch.ones(1, ROWS, COLS, dtype=torch.bool)
    valid[:, :, 0] = False
    wanted = metric(image[:, :, 1:], truth[:, :, 1:])
    spoilt = image.clone()
    spoilt[:, :, 0] = 7.0
    assert metric(spoilt, truth, valid=valid) == pytest.approx(wanted, rel=1e-9)


def test_a_series_is_the_mean_over_its_dates(date):
    image, truth = (torch.stack([x, x.flip(1) * 0.5]) for x in date)
    image[1] += 0.01
    for metric in metrics().values():
        apart = [metric(image[i], truth[i], ratio=3) for i in range(2)]
        assert metric(image, truth, ratio=3) == pytest.approx(sum(apart) / 2, rel=1e-12)


def test_parts_do_not_change_a_value(date, monkeypatch):
    whole = {name: metric(*date) for name, metric in metrics().items()}
    monkeypatch.setattr(metric_module, "_PART", 1)
    assert {name: metric(*date) for name, metric in metrics().items()} == pytest.approx(whole, rel=1e-12)


def test_a_large_offset_costs_no_digits(date):
    a, t = (x.double() + 1e4 for x in date)
    assert CC(a, t) == pytest.approx(CC(*(x.double() for x in date)), rel=1e-6)


def test_a_constant_truth():
    truth = torch.full((2, 12, 12), 0.25, dtype=torch.float64)
    image = truth + 0.05
    assert CC(image, truth) is None
    assert SSIM(image, truth) is None
    assert PSNR(image, truth) == pytest.approx(20 * math.log10(0.25 / 0.05))
    assert UIQI(image, truth) == pytest.approx(2 * 0.3 * 0.25 / (0.3**2 + 0.25**2))


def test_a_constant_answer_to_a_truth_with_contrast_correlates_with_nothing(date):
    assert CC(torch.full_like(date[1], 0.3), date[1]) == 0.0


def test_a_constant_band_is_left_out_of_the_mean(date):
    image, truth = (x.clone() for x in date)
    truth[2] = 0.37
    for metric in (CC, SSIM):
        assert metric(image, truth) == pytest.approx(
            metric(image[[0, 1, 3, 4]], truth[[0, 1, 3, 4]]), rel=1e-12
        )


def test_a_negative_peak_has_no_psnr():
    truth = -torch.rand(1, 9, 9) - 0.1
    assert PSNR(truth + 0.1, truth) is None


def test_a_zero_mean_has_no_ergas():
    truth = torch.tensor([-0.2, 0.2]).repeat(32).view(1, 8, 8)
    assert ERGAS(truth + 0.1, truth) is None


def test_bands_without_signal_are_left_out_of_everything(date):
    image, truth = (torch.cat([x, torch.zeros_like(x[:2])]) for x in date)
    image[-2:] = 0.3
    for metric in metrics().values():
        assert metric(image, truth) == pytest.approx(metric(*date), rel=1e-12)


def test_a_truth_without_any_signal_says_nothing():
    for metric in metrics().values():
        assert metric(torch.rand(2, 12, 12), torch.zeros(2, 12, 12)) is None


def test_zero_spectra_are_masked_and_zero_answers_are_not_rewarded(date):
    image, truth = (x.clone() for x in date)
    truth[:, :3] = 0.0
    assert SAM(image, truth) == pytest.approx(SAM(image[:, 3:], truth[:, 3:]), rel=1e-12)
    assert SAM(torch.zeros_like(truth), truth) == pytest.approx(90.0)


def test_small_images_have_no_windows():
    image, truth = torch.rand(2, 10, 7), torch.rand(2, 10, 7)
    assert SSIM(image, truth) is None
    assert UIQI(image, truth) is None
    assert RMSE(image, truth) is not None


def test_an_empty_mask_says_nothing(date):
    for metric in metrics().values():
        assert metric(*date, valid=torch.zeros(1, 1, 1, dtype=torch.bool)) is None


def test_nan_where_it_is_scored_is_refused(date):
    image = date[0].clone()
    image[0, 0, 0] = torch.nan
    with pytest.raises(ProblemError, match="answer: expected finite numbers"):
        RMSE(image, date[1])


def test_shapes_must_agree(date):
    with pytest.raises(ProblemError, match=r"expected an answer of shape \(5, 26, 23\)"):
        RMSE(date[0][:, 1:], date[1])
    with pytest.raises(ProblemError, match="expected an answer of shape"):
        RMSE(date[0][None], date[1][None].expand(2, -1, -1, -1))


def test_choose_keeps_the_order_and_names_the_nearest():
    assert list(choose(["sam", "cc"])) == ["sam", "cc"]
    with pytest.raises(ProblemError, match="Did you mean 'ergas'"):
        choose(["egras"])
