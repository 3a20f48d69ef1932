"""jointlr on small scenes: any subset of sensors, odd input, hidden dates, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion import methods
from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.wald import hide
from stsfusion.methods.jointlr import JointLR

_HALF = 1.6449


def _answer(problem: Problem, **settings):
    method = JointLR.example(**settings).fit([problem.question()])
    return method.fuse(problem.question())


def _rmse(problem: Problem, full: torch.Tensor, dates: list[int]) -> float:
    assert problem.truth is not None
    return float((full - problem.truth)[dates].square().mean().sqrt())


@pytest.fixture(scope="module")
def plain():
    problem = tiny_problem(size=48)
    return problem, _answer(problem, hidings=3)


def test_missing_dates_are_told_better_than_by_lines_between_neighbours(plain):
    problem, answer = plain
    truth = problem.truth
    line = torch.stack([0.5 * (truth[i - 1] + truth[i + 1]) for i in (1, 3)])
    ours = float((answer.full()[[1, 3]] - truth[[1, 3]]).square().mean().sqrt())
    assert ours < 0.7 * float((line - truth[[1, 3]]).square().mean().sqrt())


def test_its_deviation_covers_what_it_misses(plain):
    problem, answer = plain
    gap = (answer.full() - problem.truth).abs()
    inside = float((gap <= _HALF * answer.sigma).float().mean())
    assert 0.75 < inside <= 1.0
    assert float(answer.sigma.mean()) < 5.0 * float(gap.mean())
    assert float(answer.sigma[[1, 3]].mean()) > float(answer.sigma[[0, 2, 4]].mean())


def test_quality_tells_observed_from_fused(plain):
    _, answer = plain
    wanted = [Quality.OBSERVED, Quality.FUSED, Quality.OBSERVED, Quality.FUSED, Quality.OBSERVED]
    assert [int(q.unique()) for q in answer.quality] == [int(q) for q in wanted]


def test_sharp_images_are_needed_and_the_error_says_so():
    problem = tiny_problem(roles=("rich", "dense"))
    with pytest.raises(ProblemError, match="sharp"):
        JointLR.example().fit([problem.question()])


def test_without_a_hyperspectral_sensor_the_sharp_bands_are_answered():
    problem = tiny_problem(size=48, multispectral=True)
    answer = _answer(problem)
    (sharp,) = problem.require("sharp")
    assert torch.equal(answer.full()[[0, 2, 4]], sharp.data)
    assert _rmse(problem, answer.full(), [1, 3]) < 0.012
    assert float(answer.sigma.min()) > 0


@pytest.mark.parametrize("dates", [3, 5])
def test_one_sharp_image_is_enough_to_know_how_sure_the_others_are(dates):
    problem = tiny_problem(size=48, multispectral=True, dates=dates)
    (sharp,) = problem.require("sharp")
    answer = _answer(problem.with_observations({"sharp": sharp.select([0])}))
    gap = (answer.full() - problem.truth).abs()[1:]
    assert 0.86 < float((gap <= _HALF * answer.sigma[1:]).float().mean()) < 0.995
    assert float(answer.sigma[1:].mean()) < 4.0 * float(gap.mean())


def test_scale_of_the_data_does_not_matter():
    problem = tiny_problem(size=48, multispectral=True)

    def scaled(observation: Observation) -> Observation:
        noise = None if observation.noise is None else observation.noise * 1e4
        return replace(observation, data=observation.data * 1e4, noise=noise)

    counts = problem.with_observations({role: scaled(o) for role, o in problem.observations.items()})
    first, second = _answer(problem).full(), _answer(replace(counts, truth=None)).full()
    assert torch.allclose(first, second / 1e4, atol=2e-4)


def test_dates_that_only_a_cloud_was_seen_of_are_told_from_the_others():
    problem = tiny_problem(size=48)
    (dense,) = problem.require("dense")
    valid = dense.valid.expand(5, 1, *dense.data.shape[2:]).clone()
    valid[1] = False
    data = torch.where(valid, dense.data, 0.6)
    answer = _answer(problem.with_observations({"dense": replace(dense, data=data, valid=valid)}))
    full = answer.full()
    assert bool(torch.isfinite(full).all())
    assert int(answer.quality[1].unique()) == int(Quality.INTERPOLATED)
    assert _rmse(problem, full, [1]) < 0.06
    assert float(answer.sigma[1].mean()) > float(answer.sigma[3].mean())


def test_a_date_outside_all_others_is_said_to_be_extrapolated():
    problem = tiny_problem(size=48)
    (dense,) = problem.require("dense")
    seen = problem.with_observations({"dense": dense.select([0, 1, 2, 3])})
    seen = hide(hide(seen, "rich", (4,)), "sharp", (4,))
    answer = _answer(seen)
    assert int(answer.quality[4].unique()) == int(Quality.EXTRAPOLATED)
    assert bool(torch.isfinite(answer.full()).all())


def test_sensors_that_never_met_in_time_are_joined_all_the_same():
    problem = tiny_problem(size=48)
    (dense, sharp) = problem.require("dense", "sharp")
    apart = problem.with_observations({"dense": dense.select([1, 3]), "sharp": sharp.select([0, 2])})
    assert bool(torch.isfinite(_answer(apart).full()).all())


def test_constant_images_stay_constant():
    problem = tiny_problem(size=48)
    flat = {role: replace(o, data=torch.full_like(o.data, 0.25)) for role, o in problem.observations.items()}
    full = _answer(problem.with_observations(flat)).full()
    assert torch.allclose(full, torch.full_like(full, 0.25), atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.2])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("roles", [("rich", "sharp", "dense"), ("rich", "sharp")])
def test_images_without_any_contrast_are_answered_with_themselves(level, known, roles):
    problem = tiny_problem(size=48, roles=roles)

    def flat(seen: Observation) -> Observation:
        return replace(seen, data=torch.full_like(seen.data, level), noise=seen.noise if known else None)

    even = problem.with_observations({role: flat(o) for role, o in problem.observations.items()})
    answer = _answer(even, hidings=3, spans=(60.0, 200.0), grounds=(0.0, 1.0))
    assert torch.allclose(answer.full(), torch.tensor(level), atol=1e-4)
    assert bool(torch.isfinite(answer.sigma).all())


def test_noise_that_nobody_knows_is_guessed():
    problem = tiny_problem(size=48)
    blind = {role: replace(o, noise=None) for role, o in problem.observations.items()}
    full = _answer(problem.with_observations(blind)).full()
    assert _rmse(problem, full, [1, 3]) < 0.05


def test_displaced_and_miscalibrated_dense_images_are_mended():
    problem = tiny_problem(size=48, dates=7)
    (dense,) = problem.require("dense")
    gain = 1.0 + 0.05 * torch.randn(7, 5, 1, 1, generator=torch.Generator().manual_seed(0))
    wrong = problem.with_observations({"dense": replace(dense, data=dense.data * gain)})
    method = JointLR.example().fit([wrong.question()])
    found = method.state["dense.gain"]
    assert torch.allclose(found[[0, 2, 4, 6]], gain[[0, 2, 4, 6], :, 0, 0], atol=0.01)
    assert _rmse(problem, method.fuse(wrong.question()).full(), [0, 2, 4, 6]) < 0.02


@pytest.mark.parametrize(
    "settings", [{"spans": []}, {"spans": [0.0]}, {"grounds": []}, {"halves": [-1, 0]}, {"halves": [1]}]
)
def test_choices_that_are_none_are_refused_in_words(settings):
    with pytest.raises(MethodError, match=f"setting '{next(iter(settings))}'.*of at least"):
        methods.create({"name": "jointlr", **settings})
