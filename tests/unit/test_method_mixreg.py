"""mixreg on scenes that no line can tell, against plain references and against what it promises."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from lookalikes_by_hand import by_likeness
from numpy.lib.stride_tricks import sliding_window_view
from pairscenes import NM, responses
from scipy.ndimage import gaussian_filter, uniform_filter
from torch import Tensor

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.exam import Exam
from stsfusion.learning.likeness import Likeness
from stsfusion.learning.pairing import block_gaussian
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.methods.mixreg import MixReg
from stsfusion.operators.blur import Blur, box_kernel, gaussian_kernel
from stsfusion.operators.degradation import Degradation

SIZE, BANDS, FINE, RATIO = 96, 24, 5, 4

NINETY = 1.6449
"""Half-width of a Gaussian's central 90 per cent."""


@cache
def scene(soft: float = 0.0, seed: int = 0) -> Tensor:
    """(L, H, W) float64 patches of nine surfaces, more than there are multispectral bands, lit unevenly."""
    rng = np.random.default_rng(seed)
    shape = 1 + 1.5 * gaussian_filter(rng.normal(size=(9, BANDS)), (0, 3), mode="nearest")
    spectra = (0.05 + 0.45 * rng.random((9, 1)) * shape).clip(0.01)
    fields = sum(
        side * gaussian_filter(rng.normal(size=(9, SIZE, SIZE)), (0, side, side), mode="wrap")
        for side in (1.0, 3.0, 8.0)
    )
    shares = np.exp(4.0 * fields / fields.std())
    light = 1 + 0.6 * gaussian_filter(rng.normal(size=(SIZE, SIZE)), 2, mode="wrap")
    image = np.einsum("kyx,kb->byx", shares / shares.sum(0), spectra) * light
    return torch.from_numpy(gaussian_filter(image, (0, soft, soft), mode="wrap") if soft else image)


def wavelengths() -> Tensor:
    return torch.linspace(*NM, BANDS, dtype=torch.float64)


def multispectral(truth: Tensor) -> Tensor:
    """(l, H, W)."""
    return torch.einsum("lb,byx->lyx", responses(wavelengths(), FINE), truth)


def question(
    truth: Tensor,
    *,
    kernel: Tensor | None = None,
    fine: Tensor | None = None,
    snr_db: float | None = None,
    nominal: Tensor | None = None,
    placed: bool = True,
) -> Problem:
    """The paper's protocol, blind: a method is told the ratio and each band's coverage, nothing else."""
    dice = torch.Generator().manual_seed(1)
    kernel = block_gaussian(RATIO, 0.5) if kernel is None else kernel
    rows, cols = truth.shape[1:]
    shape = (1, BANDS, rows, cols)
    images = {
        "rich": Blur(kernel, RATIO, shape)(truth[None])[0],
        "sharp": multispectral(truth) if fine is None else fine,
    }
    if snr_db is not None:
        for role, image in images.items():
            sd = image.square().mean((1, 2), keepdim=True).sqrt() * 10 ** (-snr_db / 20)
            images[role] = image + sd * torch.randn(image.shape, generator=dice, dtype=torch.float64)
    cover = (responses(wavelengths(), len(images["sharp"])) > 0).double()
    nominal = block_gaussian(RATIO, 1.0) if nominal is None else nominal
    views = {
        "rich": Degradation.of(shape, kernel=nominal, ratio=RATIO, known=False),
        "sharp": Degradation.of(shape, spectral=cover / cover.sum(1, keepdim=True), known=False),
    }
    views["sharp"] = replace(views["sharp"], spatial=replace(views["sharp"].spatial, known=placed))
    one = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    seen = {role: Observation(images[role][None].float(), one, view) for role, view in views.items()}
    return Problem(Target(shape, wavelengths(), torch.zeros(1, dtype=torch.float64)), **seen)


def solved(problem: Problem, **settings: object) -> tuple[MixReg, Answer]:
    method = MixReg(**{"experts": 8, **settings}).fit([problem])
    return method, method.fuse(problem)


@cache
def plain_pair() -> tuple[Problem, MixReg, Answer]:
    """The scene without noise."""
    problem = question(scene())
    return problem, *solved(problem)


@cache
def noisy_pair() -> tuple[Problem, MixReg, Answer]:
    """The scene with noise of 30 dB in both images."""
    problem = question(scene(), snr_db=30.0)
    return problem, *solved(problem)


def psnr(image: Tensor, truth: Tensor, edge: int = 0) -> float:
    """Mean of the bands', dB, away from the edges."""
    cut = (slice(None), slice(edge, truth.shape[1] - edge), slice(edge, truth.shape[2] - edge))
    square = (image.double() - truth)[cut].square().mean((1, 2))
    return float((10 * torch.log10(truth[cut].amax((1, 2)) ** 2 / square)).mean())


def displaced(image: Tensor, down: float, right: float) -> Tensor:
    """y(p) = x(p + offset) of a periodic image, exactly."""
    rows, cols = np.fft.fftfreq(image.shape[1])[:, None], np.fft.fftfreq(image.shape[2])[None]
    turn = np.exp(2j * np.pi * (rows * down + cols * right))
    return torch.from_numpy(np.fft.ifft2(np.fft.fft2(image.double().numpy()) * turn).real)


# ---------------------------------------------------------------- how good it is


def test_it_beats_the_line_and_interpolation_where_no_line_tells():
    problem, method, _ = plain_pair()
    # By how much is a matter of the draw of centres: .6 dB from the worst to the best of four.
    own = [psnr(solved(problem, seed=seed)[1].full()[0], scene()) for seed in range(3)]
    _, straight = solved(problem, experts=0)
    model, _ = method.of_day(0.0, scene())
    interpolated = model.upsample(problem.rich.data[0].double())
    assert np.mean(own) > psnr(straight.full()[0], scene()) + 3.0
    assert min(own) > psnr(straight.full()[0], scene()) + 2.0
    assert min(own) > psnr(interpolated, scene()) + 20.0


def test_with_noise_in_both_images_it_beats_gsa():
    problem, _, answer = noisy_pair()
    rival = GSA().fit([problem]).fuse(problem)
    assert psnr(answer.full()[0], scene()) > psnr(rival.full()[0], scene()) + 1.5


@pytest.mark.parametrize("pair", [plain_pair, noisy_pair])
def test_intervals_cover_the_truth(pair):
    _, _, answer = pair()
    inside = ((answer.full()[0] - scene()).abs() < NINETY * answer.sigma[0]).double().flatten()
    assert 0.80 < float(inside.mean()) < 0.97
    order = answer.sigma[0].flatten().argsort()
    deciles = [float(inside[part].mean()) for part in order.tensor_split(10)]
    assert min(deciles) > 0.8
    assert max(deciles) < 0.99
    # Standard deviations that say nothing of where would not do.
    error = (answer.full()[0] - scene()).abs().flatten()
    even = float(error.quantile(0.9))
    flat = [float((error[part] < even).double().mean()) for part in order.tensor_split(10)]
    assert max(flat) - min(flat) > max(deciles) - min(deciles)


@pytest.mark.parametrize("soft", [0.0, 1.0])
def test_one_band_is_told_as_by_gsa_and_better_than_by_interpolation(soft):
    """More surfaces than one band can tell apart: experts would call them by their brightness."""
    truth = scene(soft)
    problem = question(truth, fine=truth.mean(0, keepdim=True))
    own, line, plain = (
        psnr(each.fit([problem]).fuse(problem).full()[0], truth) for each in (MixReg(), GSA(), Bicubic())
    )
    assert own > plain + 1.0
    # What is left over has a smooth field here, which interpolation brings back a little better.
    assert own > line - 0.3


# ---------------------------------------------------------------- blind


def test_another_nominal_kernel_changes_nothing():
    problem = question(scene())
    answers = [
        solved(question(scene(), nominal=nominal), experts=4)[1]
        for nominal in (box_kernel(RATIO), gaussian_kernel(6.0, RATIO, (1.0, -0.5)))
    ]
    assert problem.rich.view.spatial.kernel.shape != gaussian_kernel(6.0, RATIO, (1.0, -0.5)).shape
    assert float((answers[0].full() - answers[1].full()).abs().max()) <= 1e-6
    assert float((answers[0].sigma - answers[1].sigma).abs().max()) <= 1e-6


def test_half_a_pixel_costs_little_on_the_multispectral_grid():
    found = {}
    for down, right in ((0.0, 0.0), (0.5, -0.5)):
        kernel = gaussian_kernel(2.355, RATIO, (down, right))
        method, answer = solved(question(scene(), kernel=kernel), experts=32)
        found[down] = psnr(answer.full()[0], scene())
        model, _ = method.of_day(0.0, scene())
        assert model.centre == pytest.approx((down, right), abs=0.03)
    assert found[0.5] > found[0.0] - 0.3


def test_a_sharp_image_whose_place_is_unknown_is_moved_onto_the_coarse_grid():
    """The scene is soft enough for an interpolation by half a pixel to be possible at all."""
    truth = scene(1.3)
    still, moved = (
        solved(
            question(truth, kernel=gaussian_kernel(2.355, RATIO, offset), snr_db=40.0, placed=False),
            experts=4,
        )
        for offset in ((0.0, 0.0), (0.5, -0.5))
    )
    state = moved[0].state["0.model.moved"]
    assert state.tolist() == pytest.approx([0.5, -0.5], abs=0.03)
    own, shifted = moved[1].full()[0], displaced(truth, 0.5, -0.5)
    assert psnr(own, shifted, 8) > psnr(still[1].full()[0], truth, 8) - 0.3
    assert psnr(displaced(own, -0.5, 0.5), truth, 8) > psnr(own, truth, 8) + 10.0


def test_a_sensor_model_that_does_not_hold_is_obeyed_less():
    """Gains and offsets of its own, and noise, in every multispectral band."""
    dice = torch.Generator().manual_seed(3)
    fine = multispectral(scene())
    gain = torch.tensor([1.3, 0.8, 1.1, 0.7, 1.2], dtype=torch.float64)[:, None, None]
    noise = 0.02 * torch.randn(fine.shape, generator=dice, dtype=torch.float64)
    obeyed = []
    for image in (fine, gain * fine + 0.08 + noise):
        state = solved(question(scene(), fine=image), experts=0)[0].state
        # Share of an innovation that is taken over, mean of all directions.
        obeyed.append(float((state["0.update.seen"] @ state["0.update.gain"]).trace()) / FINE)
    assert obeyed[0] > 0.2
    assert 0 <= obeyed[1] < 0.4 * obeyed[0]


def test_hidden_bands_bear_witness_of_the_shape_of_sigma(monkeypatch):
    """Errors of theirs that grow with rarity alone."""
    plain, _ = solved(question(scene()))
    witness = Exam.witness

    def rare(self, signed):
        errors, near = witness(self, signed)
        dice = torch.Generator().manual_seed(0)
        return torch.randn(errors.shape, generator=dice) * near[3].sqrt()[:, None], near

    monkeypatch.setattr(Exam, "witness", rare)
    other, _ = solved(question(scene()))
    shares = [method.state["0.doubt.shares"] for method in (plain, other)]
    assert float(shares[1][3]) > float(shares[0][3]) + 0.2
    torch.testing.assert_close(other.state["0.mixture.linear"], plain.state["0.mixture.linear"])


def test_what_the_sharp_image_still_tells_is_used():
    """By the linear map: experts leave next to nothing of it untold."""
    problem, fine = question(scene()), multispectral(scene())
    method, answer = solved(problem, experts=0)
    gain, kriged = "0.update.gain", "0.returned.kriging.weights"
    alike = "0.returned.lookalikes.noise"

    def without(*parts):
        still = {name: 0 * t if name in parts else t for name, t in method.state.items()}
        if kriged in parts:
            # Lookalikes that believe nothing.
            still[alike] = still[alike] + 1e12
        return MixReg(experts=0).with_state(still).fuse(problem)

    def untold(found):
        return float((multispectral(found.full()[0].double()) - fine).square().mean())

    assert untold(without(kriged)) < 0.4 * untold(without(kriged, gain))
    # Kriging, which does not look at it, and lookalikes, which only compare, bring back part all the same.
    assert untold(answer) < untold(without(gain))
    assert psnr(answer.full()[0], scene()) > psnr(without(gain).full()[0], scene())


# ---------------------------------------------------------------- a plain reference


def averaged(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(c, H, W) to (c, h, w): the kernel centred on every coarse pixel, edges repeated."""
    margin = (len(kernel) - RATIO) // 2
    wide = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    windows = sliding_window_view(wide, kernel.shape, (1, 2))[:, ::RATIO, ::RATIO]
    return np.einsum("cyxij,ij->cyx", windows, kernel)


def ridding(clear: np.ndarray, share: float) -> np.ndarray:
    """(n, n) what takes from every clear pixel a share of the mean of the clear ones beside it."""
    place = np.argwhere(clear)
    beside = (np.abs(place[:, None] - place[None]).sum(2) == 1).astype(float)
    return np.eye(len(place)) - share * beside / beside.sum(1, keepdims=True).clip(1)


def generalised(
    design: np.ndarray, outputs: np.ndarray, weight: np.ndarray, clear: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(k, p) slopes, and (n, p) residuals of every block of 3×3 under the fit to all others."""
    root, block = np.sqrt(weight)[:, None], np.argwhere(clear) // 3
    slope, out = np.zeros((design.shape[1], outputs.shape[1])), np.zeros_like(outputs)
    for share in np.unique(shares):
        rid, own = ridding(clear, share), shares == share
        rows, aims = rid @ design * root, rid @ outputs[:, own] * root
        slope[:, own] = np.linalg.lstsq(rows, aims, rcond=None)[0]
        for each in np.unique(block, axis=0):
            inside = (block == each).all(1)
            rest = np.linalg.lstsq(rows[~inside], aims[~inside], rcond=None)[0]
            out[np.ix_(inside, own)] = outputs[np.ix_(inside, own)] - design[inside] @ rest
    return slope, out


def by_hand(problem: Problem, state: dict[str, Tensor]) -> np.ndarray:
    """(L, H, W): line, update, kriging, lookalikes; kernel, response, subspace, filter, kriging's weights and
    noise as learned.

    The subspace has a component for every band: nothing is left out of it.
    """
    kept = {name.removeprefix("0."): tensor.double().numpy() for name, tensor in state.items()}
    y, z = (each.data[0].double().numpy() for each in (problem.sharp, problem.rich))
    centred = y - kept["wiener.mean"][:, None, None]
    means = [np.stack([uniform_filter(b, side, mode="nearest") for b in centred]) for side in (3, 5)]
    y = np.einsum("lo,oyx->lyx", kept["wiener.weights"], np.concatenate([centred, *means]))
    y += kept["wiener.mean"][:, None, None]
    kernel, response = kept["model.kernel"], kept["model.response"]
    mean, basis = kept["subspace.mean"], kept["subspace.basis"]
    seen = np.einsum("bp,byx->pyx", kept["subspace.analysis"], z - mean[:, None, None])
    margin = (len(kernel) - RATIO) // 2
    inside = np.pad(np.ones((1, SIZE, SIZE)), ((0, 0), (margin, margin), (margin, margin)))
    share = np.einsum("yxij,ij->yx", sliding_window_view(inside[0], kernel.shape)[::RATIO, ::RATIO], kernel)
    clear = share >= 0.99
    size = np.linalg.norm(z[:, clear], axis=0)
    weight = 1 / (size / size.mean()).clip(0.05)
    weight /= weight.mean()
    design = np.c_[averaged(y, kernel)[:, clear].T, np.ones(clear.sum())]
    outputs = seen[:, clear].T
    _, errors = generalised(design, outputs, weight, clear, np.zeros(len(seen)))
    told = Likeness.of([torch.from_numpy(clear)]).shares(torch.from_numpy(errors), torch.from_numpy(weight))
    slope, errors = generalised(design, outputs, weight, clear, told.numpy())
    scores = np.einsum("lyx,lp->pyx", y, slope[:-1]) + slope[-1][:, None, None]
    c, r = (errors.T * weight) @ errors / len(errors), response @ basis.T
    gap = y - np.einsum("lp,pyx->lyx", r, scores) - (response @ mean)[:, None, None]
    met = np.einsum("ayx,byx->ab", gap, gap) / SIZE**2
    total = r @ c @ r.T + met + np.diag(kept["model.misfit"] ** 2)
    scores += np.einsum("pl,lyx->pyx", c @ r.T @ np.linalg.inv(total), gap)
    half = 2
    wide = np.pad(seen - averaged(scores, kernel), ((0, 0), (half, half), (half, half)), mode="edge")
    windows = sliding_window_view(wide, (5, 5), (1, 2)).reshape(len(seen), *seen.shape[1:], 25)
    parts = np.einsum("prn,pyxn->pyxr", kept["returned.kriging.weights"], windows)
    parts = parts.reshape(*seen.shape, RATIO, RATIO).transpose(0, 1, 3, 2, 4).reshape(scores.shape)
    white, level = kept["mixture.looks.white"], kept["mixture.looks.mean"]
    looks = np.einsum("lk,lyx->kyx", white, y - level[:, None, None])
    rest, told = seen - averaged(scores, kernel), kept["returned.lookalikes.noise"]
    alike = by_likeness(rest, clear, looks, kernel, told, RATIO)
    return np.einsum("pb,pyx->byx", basis, scores + 0.5 * (parts + alike)) + mean[:, None, None]


@pytest.mark.parametrize("snr_db", [None, 30.0])
def test_without_experts_it_equals_the_plain_formula(snr_db):
    problem = question(scene(), snr_db=snr_db)
    method, answer = solved(problem, experts=0)
    expected = torch.from_numpy(by_hand(problem, method.state))
    own = answer.full()[0].double()
    ours, theirs = (float((each - scene()).square().mean().sqrt()) for each in (own, expected))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert float((own - expected).square().mean().sqrt()) < 0.2 * theirs


# ---------------------------------------------------------------- how sure it is where little is known


def unsure(
    problem: Problem, truth: Tensor, part: tuple[slice, ...] = (slice(None),), **settings: object
) -> float:
    """Stated deviation over that of the real errors, by nine of ten of them; one when honest."""
    _, answer = solved(problem, **settings)
    gone = (answer.full()[0].double() - truth)[part].abs().flatten()
    stated = answer.sigma[0].double()[part].flatten()
    return NINETY / float((gone / stated).quantile(0.9))


@pytest.mark.parametrize("pixels", [2, 3, 4, 6])
def test_of_few_coarse_pixels_it_is_not_surer_than_it_should_be(pixels):
    truth = scene()[:, : RATIO * pixels, : RATIO * pixels]
    assert unsure(question(truth), truth) > 0.4


@pytest.mark.parametrize("pixels", [5, 8, 10])
def test_intervals_hold_with_some_ten_coarse_pixels_a_side(pixels):
    inside = []
    for seed in range(5):
        truth = scene(seed=seed)[:, : RATIO * pixels, : RATIO * pixels]
        _, answer = solved(question(truth), experts=32)
        off = (answer.full()[0].double() - truth).abs()
        inside.append(float((off <= NINETY * answer.sigma[0].double()).double().mean()))
    assert 0.86 < np.mean(inside) < 0.95
    assert min(inside) > 0.78


def test_empty_pixels_do_not_make_it_surer_of_others():
    truth = torch.zeros_like(scene())
    truth[:, :32, :32] = scene()[:, :32, :32]
    lit = (slice(None), slice(0, 32), slice(0, 32))
    assert unsure(question(truth), truth, lit) > 0.6


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_band_that_is_alike_everywhere_is_no_surer_than_its_numbers_are_exact(value):
    truth = scene().clone()
    truth[3] = value
    _, answer = solved(question(truth))
    off = (answer.full()[0, 3].double() - truth[3]).abs()
    assert bool((off <= NINETY * answer.sigma[0, 3].double() + 1e-12).all())


def test_what_the_subspace_leaves_out_is_as_unsure_as_white_errors_are():
    """A band with texture of its own, white, which components of the others do not hold."""
    truth, dice = scene().clone(), torch.Generator().manual_seed(5)
    truth[12] += 0.03 * torch.randn(truth[12].shape, generator=dice, dtype=torch.float64)
    own = (slice(12, 13),)
    assert 0.8 < unsure(question(truth), truth, own, rank=3) < 1.4


def test_what_the_subspace_leaves_out_is_carried_over():
    """A band with texture of its own, smooth over some coarse pixels."""
    truth = scene().clone()
    truth[12] += torch.from_numpy(
        0.05 * gaussian_filter(np.random.default_rng(5).normal(size=(96, 96)), 5) * 15
    )
    problem = question(truth)
    method, answer = solved(problem, rank=3)
    still = {name: 0 * t if name == "0.carry" else t for name, t in method.state.items()}
    without = MixReg(rank=3).with_state(still).fuse(problem)
    own, none = (float((x.full()[0, 12] - truth[12]).square().mean()) for x in (answer, without))
    assert own < 0.2 * none


def test_noise_that_components_turned_to_is_not_brought_back(monkeypatch):
    truth = scene()[:, :40, :40]
    problem = question(truth, snr_db=22.0)
    own = psnr(solved(problem)[1].full()[0], truth)
    monkeypatch.setattr("stsfusion.methods.mixreg.sampled_noise", lambda power, noise, ratio: noise)
    fresh = psnr(solved(problem)[1].full()[0], truth)
    monkeypatch.setattr("stsfusion.methods.mixreg.sampled_noise", lambda power, noise, ratio: 0.0 * noise)
    none = psnr(solved(problem)[1].full()[0], truth)
    assert own > fresh + 0.05
    assert own > none + 0.3
