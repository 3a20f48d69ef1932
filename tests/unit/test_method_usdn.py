"""usdn on toys: its stages, what they learn and what they leave alone."""

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.checkpoint import checkpoints
from stsfusion.learning.pairing import block_gaussian
from stsfusion.methods.usdn import USDN
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import upsample

QUICK = {
    "coarse_steps": 400, "start_steps": 300, "fine_steps": 200, "rate": 0.02, "decay": 0.995, "endmembers": 6
}  # fmt: skip


def toy(*, ratio=4, size=24, bands=12, fine=4, seed=0):
    """Three materials in noise, one date, broad bands that are known."""
    generator = torch.Generator().manual_seed(seed)
    nm = torch.linspace(450.0, 900.0, bands, dtype=torch.float64)
    x = (nm - 450) / 450
    spectra = torch.stack([0.1 + 0.3 * x, 0.05 + 0.5 * (x > 0.5), 0.3 - 0.2 * x])
    shares = torch.rand(3, size, size, generator=generator, dtype=torch.float64) ** 3 + 1e-3
    truth = torch.einsum("myx,mb->byx", shares / shares.sum(0), spectra).float()[None]
    target = Target((1, bands, size, size), nm, torch.zeros(1, dtype=torch.float64))
    weights = torch.zeros(fine, bands, dtype=torch.float64)
    for band, places in enumerate(torch.arange(bands).chunk(fine)):
        weights[band, places] = 1.0 / len(places)
    views = {
        "rich": Degradation.of(target.shape, kernel=block_gaussian(ratio, 0.5), ratio=ratio),
        "sharp": Degradation.of(target.shape, spectral=weights),
    }
    every = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    made = {role: Observation(view(truth), every, view) for role, view in views.items()}
    return Problem(target, truth=truth).with_observations(made)


def rmse(problem, method):
    return float((method.fuse(problem.question()).full() - problem.truth).square().mean().sqrt())


def plain(problem):
    return float((upsample(problem.rich.data, problem.rich.ratio) - problem.truth).square().mean().sqrt())


@pytest.fixture(scope="module")
def problem():
    return toy()


@pytest.fixture(scope="module")
def trained(problem):
    said = []
    return USDN(**QUICK).fit([problem.question()], lambda done, words: said.append((done, words))), said


def test_it_beats_interpolation_by_far(problem, trained):
    assert rmse(problem, trained[0]) < 0.5 * plain(problem)


def test_each_stage_lowers_its_loss(trained):
    for stage in (1, 2, 3):
        own = [words for _, words in trained[1] if words.startswith(f"stage {stage}")]
        lost = [float(words.rsplit(" ", 1)[1]) for words in own]
        assert lost[-1] < 0.9 * lost[0], f"stage {stage}"
    shares = [done for done, _ in trained[1]]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_the_answer_is_shares_of_the_spectra_above_a_mean(problem, trained):
    state = trained[0].state
    fused = trained[0].fuse(problem.question()).full()[0].reshape(12, -1).T
    spectra, mean = state["0.spectra"], state["0.mean"]
    assert spectra.shape == (6, 12)
    shares = torch.linalg.lstsq(spectra.T.double(), (fused - mean).T.double()).solution
    left = spectra.T.double() @ shares - (fused - mean).T
    assert float(left.abs().max()) < 1e-5


def test_the_last_stages_leave_the_decoder_alone(problem):
    asked, first = problem.question(), {**QUICK, "coarse_steps": 50}
    short, long = (
        USDN(**{**first, "start_steps": steps, "fine_steps": steps}).fit([asked]).state for steps in (0, 40)
    )
    assert torch.equal(short["0.spectra"], long["0.spectra"])
    moved = [name for name in short if "fractions" in name and not torch.equal(short[name], long[name])]
    assert moved


def test_the_first_stage_ends_at_its_angle(problem):
    said = []
    easy = USDN(**{**QUICK, "angle": 180.0, "start_steps": 0, "fine_steps": 0})
    easy.fit([problem.question()], lambda _, words: said.append(words))
    assert sum(words.startswith("stage 1") for words in said) == 50


def test_a_part_of_the_pixels_is_enough(problem):
    assert rmse(problem, USDN(**{**QUICK, "pixels": 64}).fit([problem.question()])) < 0.5 * plain(problem)


class Killed(Exception):
    pass


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_training_that_died_goes_on_to_the_same_bytes(problem, tmp_path, stage):
    method = USDN(**{**QUICK, "coarse_steps": 30, "start_steps": 30, "fine_steps": 30, "pixels": 100})
    whole = method.fit([problem.question()]).state

    def die(done, words):
        if words.startswith(f"stage {stage} of 3, step 25 "):
            raise Killed

    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        method.fit([problem.question()], die)
    said = []
    with checkpoints(tmp_path, every=0):
        resumed = method.fit([problem.question()], lambda _, words: said.append(words)).state
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert sum("loss" in words for words in said) == 6 + 30 * (3 - stage)


@pytest.mark.parametrize("ratio, fine", [(2, 1), (3, 3), (6, 2)])
def test_odd_scenes_give_numbers(ratio, fine):
    odd = toy(ratio=ratio, size=36, fine=fine)
    wild = {}
    for role, observation in odd.observations.items():
        data = 5.0 * observation.data - 0.4
        data[..., :6, :6] = 0.0
        wild[role] = replace(observation, data=data)
    asked = odd.question().with_observations(wild)
    steps = {"coarse_steps": 10, "start_steps": 10, "fine_steps": 25}
    answer = USDN(**{**QUICK, **steps}).fit([asked]).fuse(asked).full()
    assert bool(torch.isfinite(answer).all())
