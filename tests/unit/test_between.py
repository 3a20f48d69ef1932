"""Dates that the sharp sensor saw without the rich one: their own image is used, and used well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pairscenes import changed, pair_problem
from torch import Tensor

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.method import Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.learning.bandmatch import BandMatch
from stsfusion.learning.between import Look, bridged
from stsfusion.methods.cnmf import CNMF
from stsfusion.methods.gsa import GSA
from stsfusion.methods.mixreg import MixReg
from stsfusion.testing import fuse_tiled

DAYS = (0.0, 20.0, 45.0, 60.0, 80.0)


def season(**changes) -> Problem:
    """Rich on dates 0, 2, 4; sharp on all five."""
    given = {"size": (48, 48), "days": DAYS, "rich_dates": (0, 2, 4), "bands": 16} | changes
    return pair_problem(**given)


def rmse(values: Tensor, problem: Problem, date: int) -> float:
    return float((values[date] - problem.truth[date]).square().mean().sqrt())


@pytest.mark.parametrize(
    ("method", "share"),
    [(GSA(), 0.6), (CNMF.example(), 0.85), (MixReg.example(), 0.6)],
    ids=lambda m: str(m)[:4],
)
def test_its_own_image_beats_interpolation_in_time(method, share):
    problem = season()
    without = problem.with_observations({"sharp": problem.sharp.select([0, 2, 4])})
    both = [method.fit([p.question()]).fuse(p.question()) for p in (problem, without)]
    for date in (1, 3):
        assert rmse(both[0].full(), problem, date) < share * rmse(both[1].full(), problem, date)
        assert bool((both[0].quality[date] == int(Quality.FUSED)).all())
        assert bool((both[1].quality[date] == int(Quality.INTERPOLATED)).all())
    for date in (0, 2, 4):
        assert torch.equal(both[0].full()[date], both[1].full()[date])


def test_sigma_grows_by_the_misfit_of_the_regression():
    problem = season().question()
    fitted = MixReg.example().fit([problem])
    answer = fitted.fuse(problem)
    least = fitted.state["between.misfit"]
    assert bool((answer.sigma[1].amin((1, 2)) >= least * 0.999).all())


def test_a_series_seen_by_both_learns_nothing_more():
    problem = season(rich_dates=None).question()
    assert not [name for name in GSA().fit([problem]).state if name.startswith("between")]


def test_without_such_dates_in_the_lesson_they_are_interpolated():
    problem = season().question()
    lesson = problem.with_observations({"sharp": problem.sharp.select([0, 2, 4])})
    answer = GSA().fit([lesson]).fuse(problem)
    assert bool((answer.quality[1] == int(Quality.INTERPOLATED)).all())


def test_under_a_cloud_of_the_sharp_image_time_is_interpolated():
    problem = season()

    def cloud(seen):
        valid = seen.valid.clone()
        valid[1, :, 12:24, 12:24] = False
        return replace(seen, valid=valid, data=torch.where(valid, seen.data, -50.0))

    cloudy = changed(problem, sharp=cloud)
    without = problem.with_observations({"sharp": problem.sharp.select([0, 2, 4])})
    method = GSA(psf="given").fit([problem.question()])
    answer = method.fuse(cloudy.question())
    plain = method.fuse(without.question())
    inside = (slice(None), slice(15, 21), slice(15, 21))
    assert torch.equal(answer.values[1][inside], plain.values[1][inside])
    assert bool((answer.quality[1][inside] == int(Quality.INTERPOLATED)).all())
    assert float((answer.values[1] - problem.truth[1]).abs().max()) < 1.0


def rich_under_cloud(problem: Problem, where: tuple[object, ...] = ()) -> Problem:
    """Nothing seen by the rich sensor on date 2, of this part, with something wild under the mask."""

    def cloud(seen):
        valid = seen.valid.expand(seen.data.shape).clone()
        valid[(1, slice(None), *where)] = False
        return replace(seen, valid=valid, data=torch.where(valid, seen.data, -50.0))

    return changed(problem, rich=cloud)


@pytest.mark.parametrize("method", [GSA(), MixReg.example()], ids=["gsa", "mixreg"])
def test_a_date_all_under_cloud_is_as_good_as_one_that_is_absent(method):
    problem = season()
    cloudy = rich_under_cloud(problem)
    absent = problem.with_observations({"rich": problem.rich.select([0, 2])})
    answers = [method.fit([p.question()]).fuse(p.question()) for p in (cloudy, absent)]
    found = [rmse(answer.full(), problem, 2) for answer in answers]
    assert found[0] < 1.05 * found[1]
    assert all(bool((answer.quality[2] == int(Quality.FUSED)).all()) for answer in answers)


def test_under_a_cloud_of_the_rich_image_the_sharp_one_tells():
    problem = season()
    part = (slice(4, 10), slice(4, 10))
    cloudy = rich_under_cloud(problem, part)
    method = MixReg.example()
    answer = method.fit([cloudy.question()]).fuse(cloudy.question())
    clear = method.fit([problem.question()]).fuse(problem.question())
    ratio = problem.rich.ratio
    inside = (slice(None), *(slice(each.start * ratio, each.stop * ratio) for each in part))
    truth = problem.truth[2]
    ours, best = (float((a.values[2] - truth)[inside].square().mean().sqrt()) for a in (answer, clear))
    line = float(((problem.truth[0] + problem.truth[4]) / 2 - truth)[inside].square().mean().sqrt())
    assert ours < 2 * best + 0.2 * line
    assert bool((answer.quality[2][inside[0], inside[1], inside[2]] == int(Quality.FUSED)).all())
    assert float(answer.sigma[2][inside].min()) >= float(answer.sigma[2].min())
    outside = torch.ones_like(answer.quality[2], dtype=torch.bool)
    outside[inside] = False
    assert bool((answer.quality[2][outside] == int(Quality.OBSERVED)).all())


def test_bands_that_a_pixel_has_are_not_told_by_another_sensor():
    problem = season()
    valid = problem.rich.valid.expand(problem.rich.data.shape).clone()
    valid[1, 5, 4:10] = False
    lame = problem.with_observations({"rich": replace(problem.rich, valid=valid)})
    method = GSA(psf="given").fit([lame.question()])
    shown: list[Tensor] = []
    frame = method.frame
    method.frame = lambda problem, coarse, date: shown.append(coarse) or frame(problem, coarse, date)
    answer = method.fuse(lame.question())
    others = [band for band in range(16) if band != 5]
    assert torch.equal(shown[1][others], problem.rich.data[1][others])
    assert not torch.equal(shown[1][5, 4:10], problem.rich.data[1, 5, 4:10])
    assert bool((answer.quality[2] == int(Quality.OBSERVED)).all())


def test_tiles_with_gaps_are_the_whole():
    problem = rich_under_cloud(season(size=(96, 96), kernel=None), (slice(6, 12), slice(7, 15)))
    method = GSA().fit([problem.question()])
    whole = method.fuse(problem.question()).full()
    assert float((fuse_tiled(method, problem, 24) - whole).abs().max()) < 1e-5


@pytest.mark.parametrize("psf", ["estimated", "given", "box"])
def test_tiles_are_the_whole(psf):
    problem = season(size=(96, 96), kernel=None)
    method = GSA(psf=psf).fit([problem.question()])
    whole = method.fuse(problem.question()).full()
    assert float((fuse_tiled(method, problem, 24) - whole).abs().max()) < 1e-5
    geometry = Geometry.of(problem)
    without = GSA(psf=psf).fit([season(rich_dates=None).question()])
    assert method.halo(geometry) > without.halo(geometry)


def test_a_date_outside_the_others_is_told_too():
    problem = season(rich_dates=(1, 2))
    answer = GSA().fit([problem.question()]).fuse(problem.question())
    assert bool((answer.quality[0] == int(Quality.FUSED)).all())
    held = float((problem.truth[1] - problem.truth[0]).square().mean().sqrt())
    assert rmse(answer.values, problem, 0) < 0.5 * held


def test_the_bridge_is_the_equation():
    dice = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.rand(*shape, generator=dice)  # noqa: E731
    match = BandMatch(
        torch.zeros(2), torch.ones(2), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), rand(2, 3), rand(3), rand(3)
    )
    known = torch.ones(4, 5, dtype=torch.bool)
    first, last = Look(rand(2, 4, 5), known, 10.0), Look(rand(2, 4, 5), known.clone(), 30.0)
    last.known[0, 0] = False
    look, coarse = Look(rand(2, 4, 5), known, 15.0), rand(2, 3, 4, 5)
    image, told = bridged(match, look, [first, last], coarse)
    slope = match.slope.numpy()
    for y, x in np.ndindex(4, 5):
        w = (1.0, 0.0) if (y, x) == (0, 0) else (0.75, 0.25)
        change = look.low[:, y, x].numpy() - sum(
            a * b.low[:, y, x].numpy() for a, b in zip(w, (first, last), strict=True)
        )
        base = sum(a * coarse[k, :, y, x].numpy() for k, a in enumerate(w))
        np.testing.assert_allclose(image[:, y, x], base + change @ slope, rtol=1e-5, atol=1e-6)
    assert bool(told.all())
