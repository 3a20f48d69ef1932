"""Live bands: dead in the whole region, or a cloud over one tile?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Problem, Role
from stsfusion.learning.live import Live, half_clear, live_bands


def _lacking(problem: Problem, role: Role, bands: list[int] | None = None) -> Problem:
    """The same without any valid pixel in these bands of a role, None: in all."""
    seen = problem.observations[role]
    valid = seen.valid.expand(seen.data.shape).clone()
    valid[:, slice(None) if bands is None else bands] = False
    return problem.with_observations({role: replace(seen, valid=valid)})


@pytest.fixture
def problem():
    return tiny_problem(size=24).question()


def test_a_band_is_dead_only_if_no_tile_has_it(problem):
    tiles = [_lacking(problem, "sharp"), _lacking(problem, "sharp", [1])]
    live = live_bands([tile.sharp for tile in tiles])
    assert not bool(live[1])
    assert int(live.sum()) == len(live) - 1


def test_dead_bands_are_left_out_and_a_tile_under_cloud_keeps_its_gaps(problem):
    lame = _lacking(problem, "dense", [0, 2])
    live = Live.learn([lame, _lacking(problem, "dense")], ("sharp",), "mine")
    (before,), (after,) = problem.require("dense"), live(lame).require("dense")
    keep = live.dense
    assert torch.equal(after.data, before.data[:, keep])
    assert torch.equal(after.noise, before.noise[keep])
    truth = torch.rand(problem.target.shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(after.view(truth), before.view(truth)[:, keep])
    (cloudy,) = live(_lacking(problem, "dense")).require("dense")
    assert not bool(cloudy.valid.any())


def test_what_lacks_nothing_is_left_as_it_is(problem):
    live = Live.learn([problem], ("sharp",), "mine")
    assert all(live(problem).observations[role] is own for role, own in problem.observations.items())


def test_series_of_the_same_bands_keep_those_that_both_have():
    problem = tiny_problem(size=24, multispectral=True).question()
    live = Live.learn([_lacking(_lacking(problem, "sharp", [0]), "dense", [2])], ("sharp",), "mine")
    assert torch.equal(live.sharp, live.dense)
    assert live.sharp.nonzero()[:, 0].tolist() == [1, *range(3, len(live.sharp))]


def test_half_of_the_bands_are_enough_of_a_spectrum(problem):
    (rich,) = problem.require("rich")
    valid = rich.valid.expand(rich.data.shape).clone()
    bands = valid.shape[1]
    valid[0, : bands // 2 + 1, 0, 0] = False
    valid[0, : bands // 2, 0, 1] = False
    clear = half_clear(replace(rich, valid=valid))
    assert not bool(clear[0, 0, 0])
    assert bool(clear[0, 0, 1])


def test_a_blind_sensor_is_taken_away_unless_it_is_needed(problem):
    blind = _lacking(problem, "dense")
    assert set(Live.learn([blind], ("sharp",), "mine")(problem).observations) == {"rich", "sharp"}
    assert "dense" in Live.learn([blind, problem], ("sharp",), "mine")(blind).observations
    with pytest.raises(ProblemError, match=r"method 'mine', role 'sharp'.*gaps everywhere"):
        Live.learn([_lacking(problem, "sharp")], ("sharp",), "mine")
