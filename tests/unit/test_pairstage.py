"""A scene under a protocol: what was done to it, what is told of that, and how answers are judged."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.errors import CubeError, ProblemError, SensorError
from stsfusion.fusion.answer import Answer
from stsfusion.methods import create
from stsfusion.pipeline.footprint import footprint
from stsfusion.pipeline.pairprotocol import PairProtocol
from stsfusion.pipeline.pairstage import SCORES, PairStage
from stsfusion.pipeline.scene import Partner, Scene

BAND, ROWS, COLS = 41, 14, 19
NM = np.linspace(420, 900, BAND)


def _scene(rows=ROWS, cols=COLS, partner=None):
    rng = np.random.default_rng(5)
    values = rng.uniform(-0.05, 1.2, (BAND, rows, cols)).astype(np.float32)
    return Scene("some", values, NM, partner=partner)


def _real(rows=ROWS, cols=COLS):
    values = np.random.default_rng(6).random((3, rows, cols), dtype=np.float32)
    low, high = np.array([450.0, 520.0, 2000.0]), np.array([515.0, 600.0, 2300.0])
    return _scene(rows, cols, Partner("ali", values, low, high))


def _stage(scene=None, **options):
    return PairStage(scene or _scene(), PairProtocol(**options))


def _answer(stage, values=None, sigma=None):
    full = stage.problem.truth if values is None else values
    time, _, rows, cols = full.shape
    return Answer(full, torch.ones(time, 1, rows, cols, dtype=torch.uint8), sigma)


def test_the_problem_is_padded_by_reflection_and_both_images_are_of_its_truth():
    stage = _stage(ratio=4, psf="gaussian:1", blind=False)
    problem = stage.problem
    assert problem.target.shape == (1, BAND, 16, 20)
    np.testing.assert_array_equal(problem.truth[0, :, :ROWS, :COLS], stage.scene.values)
    np.testing.assert_array_equal(problem.truth[0, :, 14], stage.scene.values[:, 12, [*range(19), 17]])
    assert set(problem.observations) == {"rich", "sharp"}
    for seen in problem.observations.values():
        torch.testing.assert_close(seen.data, seen.view(problem.truth))
        assert seen.noise is None
        assert seen.valid.all()
        assert seen.view.spatial.known
        assert seen.view.spectral.known


def test_each_coarse_pixel_sees_its_own_block():
    stage = _stage(ratio=4, psf="gaussian:0.5")
    block = stage.problem.truth[0, :, 4:8, 8:12].double()
    expected = (block * footprint("gaussian:0.5", 4)).sum((1, 2))
    torch.testing.assert_close(stage.problem.rich.data[0, :, 1, 2].double(), expected, rtol=1e-5, atol=1e-6)


def test_blind_is_told_nothing_that_depends_on_the_truth_of_the_optics():
    one, other = (
        _stage(psf=psf, shift=shift, snr_db=snr).problem
        for psf, shift, snr in (("gaussian:0.5", 0.0, None), ("fwhm:5", 0.7, 30.0))
    )
    assert torch.equal(one.rich.view.spatial.kernel, other.rich.view.spatial.kernel)
    assert not torch.equal(one.rich.data, other.rich.data)
    for problem in (one, other):
        assert not problem.rich.view.spatial.known
        assert problem.rich.view.spatial.kernel.shape == (10, 10)
        assert not problem.sharp.view.spectral.known
        assert problem.sharp.view.spatial.known
        assert (problem.rich.noise, problem.sharp.noise) == (None, None)
    assert torch.equal(one.sharp.view.spectral.matrix, other.sharp.view.spectral.matrix)


def test_the_true_response_and_footprint_are_nowhere_in_a_blind_question():
    stage = _stage(psf="gaussian:1")
    sent = pickle.dumps(stage.problem.question())
    assert stage.bands.weights[0].numpy().tobytes() not in sent
    assert stage.kernel[0].numpy().tobytes() not in sent
    assert stage.scene.values[0, 3].tobytes() not in sent
    open_ = pickle.dumps(_stage(psf="gaussian:1", blind=False).problem.question())
    assert stage.kernel.numpy().tobytes() in open_


def test_one_band_is_pansharpening():
    problem = _stage(bands=("B8",)).problem
    assert problem.sharp.data.shape == (1, 1, 16, 20)


def test_a_shift_moves_the_hyperspectral_image_alone():
    still, moved = _stage(ratio=2, psf="box"), _stage(ratio=2, psf="box", shift=1.0)
    assert torch.equal(still.problem.sharp.data, moved.problem.sharp.data)
    assert torch.equal(still.problem.truth, moved.problem.truth)
    block = moved.problem.truth[0, :, 3:5, 5:7].mean((1, 2))
    torch.testing.assert_close(moved.problem.rich.data[0, :, 1, 2], block)


@pytest.mark.parametrize("snr", [20.0, 40.0])
def test_noise_has_the_ratio_that_was_asked_for(snr):
    clean, noisy = _stage(_scene(96, 96)).problem, _stage(_scene(96, 96), snr_db=snr, blind=False).problem
    for role in ("rich", "sharp"):
        before, after = getattr(clean, role), getattr(noisy, role)
        rms = before.data.square().mean((0, 2, 3)).sqrt()
        spread = (after.data - before.data).square().mean((0, 2, 3)).sqrt()
        assert (20 * torch.log10(rms / spread)).mean().item() == pytest.approx(snr, abs=0.3)
        torch.testing.assert_close(after.noise, rms * 10 ** (-snr / 20), rtol=1e-4, atol=0)


def test_noise_is_seeded_and_the_images_have_their_own():
    one, same, other = (_stage(snr_db=30.0, seed=seed).problem for seed in (1, 1, 2))
    assert torch.equal(one.rich.data, same.rich.data)
    assert not torch.equal(one.rich.data, other.rich.data)
    assert not torch.equal(one.sharp.data, other.sharp.data)


def test_a_real_pair_is_taken_as_it_is():
    stage = _stage(_real(), pair="ali", ratio=3, psf="fwhm:3")
    sharp = stage.problem.sharp
    assert torch.equal(sharp.data[0, :, :ROWS, :COLS], torch.from_numpy(stage.scene.partner.values))
    assert not sharp.view.spectral.known
    assert not sharp.view.spatial.known
    assert sharp.view.spatial.kernel.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert sharp.view.spectral.matrix[2].abs().sum() == 0
    assert stage.said["notes"] == ["ali: bands 3 cover no wavelength of some: zero responses"]
    assert (stage.said["pair"], stage.said["msi"]) == ("ali", None)


def test_a_perfect_answer_scores_perfectly_on_its_own_extent():
    stage = _stage()
    values = stage.problem.truth.clone()
    values[:, :, ROWS:], values[..., COLS:] = 9.0, torch.nan
    (row,) = stage.judge(_answer(stage, values))["rows"]
    assert list(row) == [*SCORES, "coverage90", "coverage90_low", "coverage90_high"] == list(stage.blank)
    assert (row["rmse"], row["sam"], row["mrae"], row["coverage90"]) == (0.0, 0.0, 0.0, None)


def test_scores_by_hand():
    stage = _stage(ratio=2)
    (row,) = stage.judge(_answer(stage, stage.problem.truth + 0.1))["rows"]
    truth = stage.scene.values.astype(float)
    peak = truth.max((1, 2))
    assert row["psnr"] == pytest.approx(np.mean(20 * np.log10(peak / 0.1)), abs=1e-3)
    assert row["ergas"] == pytest.approx(50 * np.sqrt(np.mean(0.01 / truth.mean((1, 2)) ** 2)), rel=1e-4)


def test_deviations_are_judged_on_its_own_extent():
    stage = _stage()
    sigma = torch.full((1, BAND, 16, 20), 0.1)
    sigma[:, :, ROWS:], sigma[..., COLS:] = torch.nan, torch.nan
    dice = torch.Generator().manual_seed(0)
    values = stage.problem.truth + 0.1 * torch.randn(sigma.shape, generator=dice)
    (row,) = stage.judge(_answer(stage, values, sigma))["rows"]
    assert row["coverage90"] == pytest.approx(0.9, abs=0.01)
    one = _answer(stage, values, torch.full((1, 1, 1, 1), 0.1))
    assert stage.judge(one)["rows"][0]["coverage90"] == row["coverage90"]


def test_an_answer_that_is_not_finite_is_refused():
    stage = _stage()
    with pytest.raises(ProblemError, match="NaN or infinity"):
        stage.judge(_answer(stage, stage.problem.truth * torch.nan))


def test_the_key_is_of_all_that_scores_depend_on():
    method = create("gsa")
    keys = {
        _stage(**options).key(method)
        for options in ({}, {"psf": "gaussian:1"}, {"blind": False}, {"snr_db": 40.0}, {"bands": ("B2",)})
    }
    assert len(keys) == 5
    scene = replace(_scene(), name="another")
    assert _stage(scene).key(method) == _stage().key(method)
    assert _stage().key(create({"name": "gsa", "ridge": 0.1})) != _stage().key(method)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1}, "ratio: expected 2 to 64, got 1"),
        ({"shift": 17.0}, "shift"),
        ({"shift": float("nan")}, "shift"),
        ({"snr_db": float("nan")}, "snr_db"),
        ({"seed": -1}, "seed"),
        ({"bands": ()}, "bands"),
        ({"bands": ("B2", "B2")}, "bands"),
        ({"pair": "ali", "blind": False}, "a real image alone"),
        ({"pair": "ali", "snr_db": 40.0}, "a real image alone"),
    ],
)
def test_impossible_protocols_are_refused(options, message):
    with pytest.raises(ProblemError, match=message):
        PairProtocol(**options)


def test_a_scene_that_is_too_small_and_a_band_that_is_not_there():
    with pytest.raises(CubeError, match=r"two pixels of the ratio 8.*got 14 × 19"):
        _stage(ratio=8)
    with pytest.raises(SensorError, match="B7"):
        _ = _stage(bands=("B7",)).bands
