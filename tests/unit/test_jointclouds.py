"""Joint estimation under clouds that hide whole tiles, whole dates, or whole sensors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.methods.jointlr import JointLR
from stsfusion.window import Window

_ALL = (0, 1, 2, 3, 4)


def _clouded(problem: Problem, role: Role, dates: tuple[int, ...] = _ALL, rows: int | None = None) -> Problem:
    """The same, the first target rows of these dates of a role (None: all) under cloud."""
    seen = problem.observations[role]
    valid = seen.valid.expand(len(seen.dates), 1, *seen.data.shape[2:]).clone()
    for place, date in enumerate(seen.dates):
        if date in dates:
            valid[place, :, : None if rows is None else rows // seen.ratio] = False
    return problem.with_observations({role: replace(seen, valid=valid, data=seen.data * valid)})


def _rmse(problem: Problem, full: torch.Tensor) -> float:
    return float((full - problem.truth).square().mean().sqrt())


@pytest.fixture(scope="module")
def scene():
    """Two tiles, with their truth, and what was learned of both."""
    whole = tiny_problem(size=48)
    tiles = [whole.crop(Window((0, 5), (0, 48), cols)) for cols in ((0, 24), (24, 48))]
    return tiles, JointLR.example(hidings=2).fit([tile.question() for tile in tiles])


@pytest.mark.parametrize("roles", [("sharp",), ("dense",), ("rich",), ("sharp", "rich")])
def test_a_tile_that_sensors_saw_only_as_cloud_is_told_by_the_others(scene, roles):
    tiles, fitted = scene
    tile = tiles[1]
    clear = _rmse(tile, fitted.fuse(tile.question()).full())
    lost = tile
    for role in roles:
        lost = _clouded(lost, role)
    answer = fitted.fuse(lost.question())
    gap = answer.full() - tile.truth
    assert float(gap.square().mean().sqrt()) < max(4.0 * clear, 0.03)
    assert abs(float(gap.mean())) < 0.02
    if "rich" in roles:
        assert int(Quality.OBSERVED) not in answer.quality.unique().tolist()


def test_a_date_that_one_tile_saw_only_as_cloud_is_hidden_in_another(scene):
    tiles, _ = scene
    cloudy = _clouded(_clouded(tiles[0], "rich", (2,)), "sharp", (2,))
    fitted = JointLR.example(hidings=3).fit([cloudy.question(), tiles[1].question()])
    full = fitted.fuse(tiles[1].question()).full()
    assert bool(torch.isfinite(full).all())
    assert _rmse(tiles[1], full) < 0.02


@pytest.mark.parametrize("date", [0, 2])
def test_a_date_that_every_sensor_saw_only_as_cloud_is_carried_from_others(date):
    problem = tiny_problem(size=48)
    for role in ("rich", "sharp", "dense"):
        problem = _clouded(problem, role, (date,))
    answer = JointLR.example(hidings=3).fit([problem.question()]).fuse(problem.question())
    wanted = Quality.EXTRAPOLATED if date == 0 else Quality.INTERPOLATED
    assert int(answer.quality[date].unique()) == int(wanted)
    assert _rmse(problem, answer.full()) < 0.05
    assert bool(torch.isfinite(answer.sigma).all())


@pytest.mark.parametrize("role", ["rich", "dense"])
def test_a_sensor_that_saw_nothing_at_all_is_done_without(role):
    problem = _clouded(tiny_problem(size=48), role)
    question = problem.question()
    answer = JointLR.example(hidings=2).fit([question]).fuse(question)
    without = problem.with_observations({role: None}).question()
    plain = JointLR.example(hidings=2).fit([without]).fuse(without)
    assert torch.equal(answer.full(), plain.full())
    if role == "rich":
        assert int(Quality.OBSERVED) not in answer.quality.unique().tolist()


def test_without_hyperspectral_images_dense_ones_tell_the_sharp_bands():
    """Not all bands by themselves: that would be the smoothest spectra through bands that err."""
    problem = _clouded(tiny_problem(size=48), "rich")
    question = problem.question()
    answer = JointLR.example().fit([question]).fuse(question)
    size = (answer.full() - problem.truth).square().mean((1, 2, 3)).sqrt()
    assert float(size[[1, 3]].max()) < 1.2 * float(size[[0, 2, 4]].max())


def test_nothing_of_the_sharp_sensor_is_an_error_that_says_so():
    question = _clouded(tiny_problem(size=48), "sharp").question()
    with pytest.raises(ProblemError, match=r"'jointlr', role 'sharp'.*gaps everywhere"):
        JointLR.example().fit([question])


def test_a_dead_band_of_sharp_or_dense_does_not_pull_the_answer_down(scene):
    tiles, _ = scene

    def without_band(problem: Problem, role: Role) -> Problem:
        seen = problem.observations[role]
        valid = seen.valid.expand(seen.data.shape).clone()
        valid[:, 1] = False
        return problem.with_observations({role: replace(seen, valid=valid, data=seen.data * valid)})

    for role in ("sharp", "dense"):
        lame = [without_band(tile, role) for tile in tiles]
        fitted = JointLR.example(hidings=2).fit([tile.question() for tile in lame])
        assert _rmse(tiles[1], fitted.fuse(lame[1].question()).full()) < 0.02


@pytest.mark.parametrize(
    ("roles", "worse"), [(("rich", "sharp"), 1.05), (("rich",), 1.05), (("sharp",), 1.05), (("dense",), 1.3)]
)
def test_a_date_that_was_all_cloud_is_as_good_as_none(roles, worse):
    problem = tiny_problem(size=48, dates=7)
    date = 1 if roles == ("dense",) else 2
    cloudy, absent = problem, problem
    for role in roles:
        seen = problem.observations[role]
        cloudy = _clouded(cloudy, role, (date,))
        rest = [place for place, own in enumerate(seen.dates) if own != date]
        absent = absent.with_observations({role: seen.select(rest)})
    own, other = (JointLR.example(hidings=2).fit([p.question()]).fuse(p.question()) for p in (cloudy, absent))
    assert _rmse(problem, own.full()) < worse * _rmse(problem, other.full())
    assert torch.equal(own.quality, other.quality)


@pytest.fixture
def believing(monkeypatch):
    """A broken twin: what regressions bridge over a cloud is taken for what was seen there."""
    monkeypatch.setattr("stsfusion.learning.densegains.half_clear", _everywhere)


def _everywhere(seen: Observation) -> torch.Tensor:
    return torch.ones(len(seen.dates), *seen.data.shape[2:], dtype=torch.bool)


def _half_clouded_gains() -> torch.Tensor:
    problem = tiny_problem(size=48, dates=7)
    for role in ("rich", "sharp"):
        problem = _clouded(problem, role, (2,), 30)
    return JointLR.example().fit([problem.question()]).state["dense.gain"]


def test_clouds_of_one_sensor_are_no_gain_of_another():
    assert float((_half_clouded_gains() - 1.0).abs().max()) < 0.01


def test_gains_from_what_was_bridged_are_found_out(believing):
    assert float((_half_clouded_gains() - 1.0).abs().max()) > 0.01


def test_a_date_that_lacks_one_band_is_said_to_be_made_from_other_dates():
    problem = tiny_problem(size=48)
    seen = problem.observations["dense"]
    valid = seen.valid.expand(seen.data.shape).clone()
    valid[seen.dates.index(3), 1] = False
    less = problem.with_observations({"dense": replace(seen, valid=valid, data=seen.data * valid)})
    method = JointLR.example().fit([less.question()])
    assert method.fuse(less.question()).quality[3].unique().tolist() == [int(Quality.INTERPOLATED)]
    assert method.fuse(problem.question()).quality[3].unique().tolist() == [int(Quality.FUSED)]
