"""What the sharp sensor's values are off by: found against the hyperspectral one, and taken away first."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Problem
from stsfusion.learning.jointoptics import JointOptics
from stsfusion.learning.sharpradiometry import SharpRadiometry
from stsfusion.methods.jointlr import JointLR
from stsfusion.operators.translate import translate

_DATES = [0, 2, 4]


def _off(problem: Problem, gain: list[float], added: list[float]) -> Problem:
    """The sharp sensor says something else, date by date."""
    assert problem.sharp is not None
    factor, more = (torch.tensor(each)[:, None, None, None] for each in (gain, added))
    return problem.with_observations(
        {"sharp": replace(problem.sharp, data=problem.sharp.data * factor + more)}
    )


def _found(problem: Problem, **more) -> SharpRadiometry | None:
    return SharpRadiometry.learn([problem.question()], replace(JointLR.example()._settings, **more))


@pytest.fixture(scope="module")
def problem():
    return tiny_problem(size=96)


def test_sensors_that_agree_are_left_alone(problem):
    assert _found(problem) is None


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_gains_of_every_date_are_found_wherever_the_images_lie(problem, shift):
    gain = [1.03, 0.95, 1.08]
    there = _off(problem, gain, [0.0] * 3)
    moved = torch.stack([translate(image, (shift, -shift)) for image in there.sharp.data])
    found = _found(there.with_observations({"sharp": replace(there.sharp, data=moved)}))
    assert found is not None
    assert not bool(found.added.any())
    assert torch.allclose(found.gain, torch.tensor(gain)[:, None].expand(-1, 4), atol=0.006)


def test_what_is_added_is_taken_away_and_what_was_seen_comes_back(problem):
    there = _off(problem, [1.03] * 3, [0.03, 0.02, 0.04])
    found = _found(there)
    assert found is not None
    back = JointOptics.of(JointOptics({}, {}, sharp=found).tensors())(there)
    error, was = ((p.sharp.data - problem.sharp.data).square().mean().sqrt() for p in (back, there))
    assert float(error) < 0.1 * float(was)


def test_dates_that_the_hyperspectral_sensor_did_not_see_have_what_the_others_have_in_common(problem):
    there = _off(problem, [1.05] * 3, [0.0] * 3)
    less = there.with_observations({"rich": there.rich.select([0, 1])})
    found = _found(less)
    assert found is not None
    assert torch.allclose(found.gain[2], torch.full((4,), 1.05), atol=0.01)
    later = replace(less, target=replace(less.target, days=less.target.days + 1000.0))
    assert torch.allclose(found(later, later.sharp), later.sharp.data / 1.05, atol=0.005)


def test_clouds_tell_nothing_of_it(problem):
    there = _off(problem, [1.05] * 3, [0.0] * 3)
    valid = there.sharp.valid.expand(there.sharp.data.shape).clone()
    valid[:, :, :48] = False
    bright = torch.where(valid, there.sharp.data, 0.9)
    found = _found(there.with_observations({"sharp": replace(there.sharp, data=bright, valid=valid)}))
    assert found is not None
    assert torch.allclose(found.gain, torch.full((3, 4), 1.05), atol=0.006)


def test_bands_on_dead_hyperspectral_ones_and_sensors_that_play_two_parts_vouch_for_nothing(problem):
    there = _off(problem, [1.05] * 3, [0.0] * 3)
    dead = torch.zeros(20, dtype=torch.bool)
    dead[2] = True
    found = _found(there, dead=dead)
    assert found is not None
    assert bool((found.gain[:, 0] == 1.0).all())
    assert torch.allclose(found.gain[:, 2:], torch.full((3, 2), 1.05), atol=0.006)
    assert _found(there, doubled=True) is None


def test_answers_do_not_follow_a_sharp_sensor_that_is_off(problem):
    there = _off(problem, [1.03, 0.97, 1.05], [0.0] * 3)
    answers = [JointLR.example().fit([p.question()]).fuse(p.question()).full() for p in (problem, there)]
    errors = [(answer - problem.truth)[_DATES].square().mean().sqrt() for answer in answers]
    assert float(errors[1]) < 1.1 * float(errors[0])


def test_dates_of_which_too_little_was_seen_tell_nothing(problem):
    there = _off(problem, [1.05] * 3, [0.0] * 3)
    valid = there.sharp.valid.expand(there.sharp.data.shape).clone()
    valid[1] = False
    hidden = _found(there.with_observations({"sharp": replace(there.sharp, valid=valid)}))
    assert hidden is not None
    assert torch.allclose(hidden.gain, torch.full((3, 4), 1.05), atol=0.006)
    few = there.rich.valid.expand(there.rich.data.shape).clone()
    few[:, :, 6:], few[:, :, :, 6:] = False, False
    assert _found(there.with_observations({"rich": replace(there.rich, valid=few)})) is None


def test_images_that_are_not_on_the_targets_grid_are_left_alone(problem):
    coarse = replace(problem.dense, data=1.05 * problem.dense.data)
    assert _found(problem.with_observations({"sharp": coarse})) is None
