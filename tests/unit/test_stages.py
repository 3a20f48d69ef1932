"""Stages of a training, on problems whose solution is known."""

import math

import pytest
import torch

from stsfusion.errors import MethodError
from stsfusion.learning.checkpoint import checkpoints
from stsfusion.learning.stages import Stage, descend


class Killed(Exception):
    pass


def walk(steps, *, die_at=None, name="", said=None, **settings):
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(3))
    told = [] if said is None else said

    def loss():
        if len(told) == die_at:
            raise Killed
        return (torch.rand(3, generator=generator) * (weight - 1)).square().sum()

    stage = Stage(steps, [weight], loss, **{k: v(weight) if k == "aside" else v for k, v in settings.items()})
    tick = lambda done, words: told.append(done)  # noqa: E731
    taken = descend(stage, lambda step: 0.05, name=name, drawing=generator, tick=tick)
    return weight.detach(), taken


def test_a_stage_finds_what_it_looks_for():
    weight, taken = walk(400)
    assert taken == 400
    torch.testing.assert_close(weight, torch.ones(3), atol=0.02, rtol=0)


def test_a_stage_ends_where_its_aim_is_reached():
    asked = []

    def reached(loss):
        asked.append(loss)
        return len(asked) == 2

    assert walk(400, reached=reached)[1] == 100


def test_every_twentieth_step_goes_aside():
    calls = []

    def aside(weight):
        def loss():
            calls.append(1)
            return weight.square().sum()

        return loss

    plain, _ = walk(60)
    pulled, _ = walk(60, aside=aside)
    assert len(calls) == 3
    assert not torch.equal(plain, pulled)


def pull(weight):
    return lambda: weight.square().sum()


@pytest.mark.parametrize("settings", [{}, {"aside": pull}])
def test_a_stage_that_died_goes_on_to_the_same_bytes(tmp_path, settings):
    whole, _ = walk(70, **settings)
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        walk(70, die_at=45, name="a", **settings)
    said = []
    with checkpoints(tmp_path, every=0):
        resumed, taken = walk(70, name="a", said=said, **settings)
    assert len(said) == 25
    assert taken == 70
    assert torch.equal(resumed, whole)


def test_a_stage_that_reached_its_aim_stays_there(tmp_path):
    with checkpoints(tmp_path, every=0):
        first, taken = walk(400, name="a", reached=lambda loss: True)
        again, same = walk(400, name="a", reached=lambda loss: True, die_at=0)
    assert taken == same == 50
    assert torch.equal(first, again)


def test_a_loss_that_is_no_number_stops_it():
    weight = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(MethodError, match="step 1: expected a finite loss"):
        descend(Stage(3, [weight], lambda: weight * math.nan), lambda step: 0.1)


def test_no_steps_change_nothing():
    assert walk(0)[1] == 0
