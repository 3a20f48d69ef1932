"""hyconet on toys: it learns what it should, holds what it must, and goes on after a death."""

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import MethodError
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.checkpoint import checkpoints
from stsfusion.learning.footprints import kernel_parts
from stsfusion.learning.pairing import block_gaussian
from stsfusion.methods.hyconet import HyCoNet
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import upsample

QUICK = {"iterations": 250, "width": 32, "endmembers": 30, "rate": 0.01}


def toy(kernel=None, *, ratio=4, size=24, bands=12, fine=3, known=False, seed=0):
    """Three materials in blobs and noise, one date, a block Gaussian and broad bands."""
    generator = torch.Generator().manual_seed(seed)
    nm = torch.linspace(450.0, 900.0, bands, dtype=torch.float64)
    x = (nm - 450) / 450
    spectra = torch.stack([0.1 + 0.3 * x, 0.05 + 0.5 * (x > 0.5), 0.3 - 0.2 * x])
    shares = torch.rand(3, size, size, generator=generator, dtype=torch.float64) ** 3 + 1e-3
    truth = torch.einsum("myx,mb->byx", shares / shares.sum(0), spectra).float()[None]
    target = Target((1, bands, size, size), nm, torch.zeros(1, dtype=torch.float64))
    weights = torch.zeros(fine, bands, dtype=torch.float64)
    for band, places in enumerate(torch.arange(bands).chunk(fine)):
        weights[band, places] = torch.rand(len(places), generator=generator, dtype=torch.float64) + 0.2
    weights = weights / weights.sum(1, keepdim=True)
    kernel = block_gaussian(ratio, 0.5) if kernel is None else kernel
    views = {
        "rich": Degradation.of(target.shape, kernel=kernel, ratio=ratio),
        "sharp": Degradation.of(target.shape, spectral=weights),
    }
    seen = {role: view(truth) for role, view in views.items()}
    every = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    if not known:
        sharp = views["sharp"]
        flat = replace(sharp.spectral, matrix=(weights > 0).double() / (weights > 0).sum(1, keepdim=True))
        views["sharp"] = replace(sharp, spectral=replace(flat, known=False))
    made = {role: Observation(data, every, views[role]) for role, data in seen.items()}
    return Problem(target, truth=truth).with_observations(made)


def rmse(problem, values):
    return float((values - problem.truth).square().mean().sqrt())


def losses(said):
    return [float(words.rsplit(" ", 1)[1]) for words in said if "loss" in words]


@pytest.fixture(scope="module")
def problem():
    return toy()


@pytest.fixture(scope="module")
def trained(problem):
    said = []
    method = HyCoNet(**QUICK).fit([problem.question()], lambda done, words: said.append(words))
    return method, losses(said)


def test_the_loss_falls_and_the_answer_beats_interpolation(problem, trained):
    method, lost = trained
    assert len(lost) == 250
    assert lost[-1] < 0.05 * lost[0]
    plain = rmse(problem, upsample(problem.rich.data, 4))
    assert rmse(problem, method.fuse(problem.question()).full()) < 0.4 * plain


def test_the_point_spread_function_is_learnt_from_a_flat_one(trained):
    found = trained[0].state["0.psf"].reshape(4, 4)
    true = block_gaussian(4, 0.5).float()
    flat = torch.full((4, 4), 1 / 16)
    assert float((found - true).norm()) < 0.35 * float((flat - true).norm())


def test_the_responses_are_learnt_inside_the_coverage(problem, trained):
    found = trained[0].state["0.response"]
    coverage = problem.sharp.view.spectral.matrix > 0
    assert float(found[~coverage].abs().max()) == 0.0
    torch.testing.assert_close(found.sum(1), torch.ones(3))


def test_all_that_is_held_stays_in_the_unit_interval(trained):
    for name in ("0.psf", "0.spectra", "0.response"):
        tensor = trained[0].state[name]
        assert float(tensor.min()) >= 0.0
        assert float(tensor.max()) <= 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"clamp": "hard", "rate": 5e-3, "endmembers": 50},
        {"abundances": "softmax"},
        {"psf": "gaussian", "response": "known"},
        {"constant": 60, "encoder_factor": 0.5, "response_factor": 0.2, "own": 10.0, "mu": 0.01, "nu": 0.01},
        {"pixels": 256},
    ],
)
def test_every_option_learns(problem, settings):
    said = []
    method = HyCoNet(**{**QUICK, "iterations": 150, **settings})
    answer = method.fit([problem.question()], lambda _, words: said.append(words)).fuse(problem.question())
    lost = losses(said)
    assert sum(lost[-5:]) < 0.3 * sum(lost[:5])
    assert rmse(problem, answer.full()) < rmse(problem, upsample(problem.rich.data, 4))


@pytest.mark.parametrize("pixels", [131072, 256])
def test_a_given_kernel_may_be_wider_than_the_ratio(pixels):
    kernel = gaussian_kernel(4.0, 4)
    wide = toy(kernel, known=True, size=48)
    method = HyCoNet(**{**QUICK, "iterations": 120, "psf": "given", "response": "known", "pixels": pixels})
    fitted = method.fit([wide.question()])
    assert fitted.state["0.psf"].shape[0] == 9
    torch.testing.assert_close(fitted.state["0.psf"], kernel_parts(kernel.float(), 4))
    assert rmse(wide, fitted.fuse(wide.question()).full()) < 0.6 * rmse(wide, upsample(wide.rich.data, 4))


def test_the_rate_falls_to_nothing():
    method = HyCoNet(iterations=10, rate=1.0)
    torch.testing.assert_close([method.rate_at(i) for i in range(11)], [1 - i / 10 for i in range(11)])
    late = HyCoNet(iterations=10, rate=1.0, constant=5)
    assert [late.rate_at(i) for i in (0, 4, 5)] == [1.0, 1.0, 1.0]
    assert late.rate_at(9) == pytest.approx(0.2)


class Killed(Exception):
    pass


@pytest.mark.parametrize("pixels", [131072, 256])
def test_a_training_that_died_goes_on_to_the_same_bytes(problem, tmp_path, pixels):
    method = HyCoNet(**{**QUICK, "iterations": 20, "pixels": pixels})
    whole = method.fit([problem.question()]).state

    def die(done, words):
        if words.startswith("step 13 "):
            raise Killed

    said = []
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        method.fit([problem.question()], die)
    with checkpoints(tmp_path, every=0):
        resumed = method.fit([problem.question()], lambda _, words: said.append(words)).state
        others = len(list(tmp_path.iterdir()))
        replace(method, seed=1).fit([problem.question()])
    assert sum("loss" in words for words in said) == 8
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert len(list(tmp_path.iterdir())) == others + 1


def test_a_rate_that_explodes_is_told(problem):
    with pytest.raises(MethodError, match="expected a finite loss"):
        HyCoNet(**{**QUICK, "rate": float("nan")}).fit([problem.question()])


def test_several_tiles_are_one_scene(problem):
    other = toy(seed=1)
    said = []
    method = HyCoNet(**{**QUICK, "iterations": 150})
    method = method.fit([problem.question(), other.question()], lambda _, words: said.append(words))
    for each in (problem, other):
        assert rmse(each, method.fuse(each.question()).full()) < rmse(each, upsample(each.rich.data, 4))


@pytest.mark.parametrize("ratio, fine", [(2, 1), (3, 3), (6, 2)])
def test_odd_scenes_give_numbers(ratio, fine):
    odd = toy(ratio=ratio, size=36, fine=fine)
    wild = {}
    for role, observation in odd.observations.items():
        data = 5.0 * observation.data - 0.4
        data[..., :6, :6] = 0.0
        wild[role] = replace(observation, data=data)
    asked = odd.question().with_observations(wild)
    answer = HyCoNet(**{**QUICK, "iterations": 10}).fit([asked]).fuse(asked).full()
    assert bool(torch.isfinite(answer).all())
