"""Trainings that end when what is held back gets no better."""

import math

import pytest
import torch
from torch import nn

from stsfusion.learning.checkpoint import checkpoints, name_of
from stsfusion.learning.plateau import Plateau, Vigil
from stsfusion.learning.training import Schedule, train


class Killed(Exception):
    pass


def scripted(*lost, **settings):
    """A plateau whose exams come out as told, and the weight that they mark."""
    weight = torch.zeros(1)
    told = iter(lost)
    return Vigil(Plateau(lambda: next(told), every=10, **settings), [weight], 1000), weight


def sit(vigil, weight, count):
    for exam in range(count):
        weight.fill_(float(exam))
        vigil.look(10 * exam)


def test_the_rate_falls_after_as_many_exams_without_gain_as_are_allowed():
    vigil, _ = scripted(1.0, 0.9, 0.9, 0.899, 0.8, 0.8, 0.8, tries=2, fall=0.1, least=0.05)
    factors = []
    for exam in range(7):
        vigil.look(10 * exam)
        factors.append(vigil.factor)
    assert factors == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01])
    assert vigil.over


def test_a_small_gain_is_kept_but_is_none():
    vigil, weight = scripted(1.0, 0.999, 0.998, gain=0.01, tries=2, fall=0.5, least=0.4)
    sit(vigil, weight, 3)
    assert vigil.factor == 0.5
    vigil.settle()
    assert float(weight) == 2.0


def test_small_gains_add_up_to_one():
    vigil, weight = scripted(1.0, 0.994, 0.988, 0.982, gain=0.01, tries=2, fall=0.5)
    sit(vigil, weight, 4)
    assert vigil.factor == 1.0


def test_the_best_weights_come_back():
    vigil, weight = scripted(1.0, 0.5, 0.7, 0.6)
    sit(vigil, weight, 4)
    vigil.settle()
    assert float(weight) == 1.0
    assert vigil.curve.tolist() == [[0.0, 1.0], [10.0, 0.5], [20.0, 0.7], [30.0, 0.6]]


def test_an_exam_that_was_sat_is_not_sat_again():
    vigil, _ = scripted(1.0)
    vigil.look(0)
    vigil.look(0)
    assert len(vigil.curve) == 1


def line(plateau, steps=2000, name="", drawing=None, die_at=None):
    """A slope learned from noisy values; the exam is noise-free."""
    generator = drawing or torch.Generator().manual_seed(0)
    slope = nn.Parameter(torch.zeros(()))
    said = []

    def loss_of():
        if len(said) == die_at:
            raise Killed
        x = torch.randn(8, generator=generator)
        return (slope * x - 3 * x - 0.3 * torch.randn(8, generator=generator)).square().mean()

    judge = lambda: float((slope.detach() - 3).square()) + 0.01  # noqa: E731
    made = Plateau(judge, **plateau) if plateau is not None else None
    course = train(
        [slope],
        loss_of,
        Schedule(steps, 0.1),
        lambda done, words: said.append(words),
        name=name,
        drawing=generator,
        plateau=made,
    )
    return slope.detach(), course, said


def test_a_training_ends_when_it_is_flat():
    slope, course, said = line({"every": 20})
    assert float(slope) == pytest.approx(3.0, abs=0.05)
    assert len(course.history) < 1500
    assert len(course.history) == course.curve[-1, 0]
    assert "at most 2000" in said[-1]
    assert "held back" in said[-1]


def test_what_is_given_back_is_the_best_that_was_seen():
    slope, course, _ = line({"every": 20})
    assert float((slope - 3).square()) + 0.01 == pytest.approx(float(course.curve[:, 1].min()), rel=1e-6)


def test_without_a_plateau_all_steps_are_walked():
    _, course, said = line(None, steps=50)
    assert len(course.history) == 50
    assert course.curve.shape == (0, 2)
    assert said[-1].startswith("step 50 of 50, loss")


def test_a_training_that_only_gets_worse_gives_back_where_it_began():
    weight = nn.Parameter(torch.zeros(()))
    plateau = Plateau(lambda: float(weight.detach().abs()), every=5)
    train([weight], lambda: -weight, Schedule(100, 0.1), plateau=plateau)
    assert float(weight.detach()) == 0.0


def test_a_watched_training_that_died_goes_on_to_the_same_bytes(tmp_path):
    name = "watched"

    def run(die_at=None):
        named = name_of({name: 1}, {})
        return line({"every": 20}, 600, named, torch.Generator().manual_seed(4), die_at)

    whole, course, _ = run()
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        run(die_at=130)
    with checkpoints(tmp_path, every=0):
        resumed, again, said = run()
    assert len(said) == len(course.history) - 130
    assert torch.equal(resumed, whole)
    assert torch.equal(again.curve, course.curve)
    assert again.history == course.history


def test_a_finished_watched_training_is_not_walked_again(tmp_path):
    def run(die_at=None):
        return line({"every": 20}, 600, name_of({"x": 1}, {}), torch.Generator().manual_seed(4), die_at)

    with checkpoints(tmp_path):
        first, course, _ = run()
    with checkpoints(tmp_path):
        second, again, said = run(die_at=0)
    assert torch.equal(first, second)
    assert not said
    assert torch.equal(again.curve, course.curve)


def test_an_exam_that_is_no_number_is_never_the_best():
    vigil, weight = scripted(1.0, math.nan, 0.5)
    sit(vigil, weight, 3)
    vigil.settle()
    assert float(weight) == 2.0
