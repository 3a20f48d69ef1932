"""coarsedelta, efast, fitfc and fsdaf on what the world really gives: units, clouds, constants, far dates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Quality
from stsfusion.methods import create, kind
from stsfusion.testing import tiny_problem

NAMES = ["coarsedelta", "efast", "fitfc", "fsdaf"]

FILTERED = {"fitfc", "fsdaf"}
"""Methods that choose pixels: one of two that are alike to the last digit may be another in other units."""


def fused(name, problem, **settings):
    method = kind(name).example(**settings).fit([problem])
    return method.fuse(problem)


def changed(problem, make):
    return problem.with_observations({role: make(seen) for role, seen in problem.observations.items()})


def scene(**options):
    return tiny_problem(**{"size": 48, "dates": 3, "multispectral": True, **options}).question()


def moved(problem, days):
    return replace(problem, target=replace(problem.target, days=torch.tensor(days, dtype=torch.float64)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratio", [1, 2])
def test_the_unit_of_the_data_does_not_matter(name, ratio):
    problem = scene(ratios=(3, ratio))
    plain = fused(name, problem).full()
    other = changed(problem, lambda seen: replace(seen, data=seen.data * 1e3, noise=None))
    off = (fused(name, other).full() / 1e3 - plain).abs() / plain.abs().mean()
    assert float((off > 1e-4).float().mean()) <= (2e-4 if name in FILTERED else 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_negative_values_are_values(name):
    problem = scene()
    plain = fused(name, problem).full()
    lower = changed(problem, lambda seen: replace(seen, data=seen.data - 0.3))
    off = (fused(name, lower).full() + 0.3 - plain).abs()
    assert float((off > 1e-3).float().mean()) <= (1e-2 if name in FILTERED else 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_constant_images_stay_constant(name):
    problem = scene(ratios=(3, 3))
    level = torch.tensor([0.1, 0.4, 0.2])
    dense = replace(problem.dense, data=level[:, None, None, None].expand(3, 4, 16, 16).clone())
    sharp = replace(problem.sharp, data=level[[0, 2], None, None, None].expand(2, 4, 48, 48).clone())
    answer = fused(name, problem.with_observations({"dense": dense, "sharp": sharp})).full()
    torch.testing.assert_close(answer[1], torch.full_like(answer[1], 0.4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_cloud_over_half_of_a_base_is_bridged_from_the_other_without_a_step(name):
    problem = scene(dates=5)
    valid = torch.ones(3, 1, 48, 48, dtype=torch.bool)
    valid[1, :, :, 24:] = False
    clouded = replace(problem.sharp, valid=valid, data=torch.where(valid, problem.sharp.data, 7.0))
    answer = fused(name, problem.with_observations({"sharp": clouded})).full()
    clear = fused(name, problem).full()
    assert float(answer[:4].abs().max()) < 1.0
    assert float((answer[1] - clear[1]).abs().mean()) < 0.03


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", ["sharp", "dense"])
def test_dates_all_under_cloud_are_done_without(name, role):
    problem = scene(dates=5)
    seen = getattr(problem, role)
    valid = torch.ones(len(seen.data), 1, *seen.data.shape[2:], dtype=torch.bool)
    valid[1] = False
    clouded = replace(seen, valid=valid, data=torch.where(valid, seen.data, 7.0))
    answer = fused(name, problem.with_observations({role: clouded}))
    assert bool(torch.isfinite(answer.full()).all())
    assert float(answer.full().abs().max()) < 1.0


@pytest.mark.parametrize("name", NAMES)
def test_dates_far_outside_are_made_from_the_nearest_bases(name):
    problem = moved(scene(dates=5), [0.0, 16.0, 32.0, 9e3, 2e4])
    problem = problem.with_observations({"sharp": problem.sharp.select([0, 1])})
    answer = fused(name, problem)
    assert bool(torch.isfinite(answer.full()).all())
    assert float(answer.full().abs().max()) < 1.0
    assert answer.quality[3:].unique().tolist() == [int(Quality.FUSED)]


@pytest.mark.parametrize("name", NAMES)
def test_a_single_base_is_enough(name):
    problem = scene()
    answer = fused(name, problem.with_observations({"sharp": problem.sharp.select([1])}))
    assert bool(torch.isfinite(answer.full()).all())
    assert answer.quality[0].unique().tolist() == [int(Quality.FUSED)]


@pytest.mark.parametrize("name", ["efast", "fitfc", "fsdaf"])
def test_a_coarse_pixel_wider_than_the_data_is_another_answer(name):
    problem, more = scene(), {"smooth": 0.5} if name == "efast" else {}
    own, two, six = (fused(name, problem, coarse=size, **more).full() for size in (0, 2, 6))
    assert torch.equal(own, two)
    assert float((own[1] - six[1]).abs().mean()) > 1e-4
    with pytest.raises(MethodError, match="coarse"):
        create({"name": name, "coarse": -1})


@pytest.mark.parametrize("name", NAMES)
def test_sensors_that_never_saw_the_same_date_or_place(name):
    problem = scene(dates=5)
    apart = {"sharp": problem.sharp.select([0, 1]), "dense": problem.dense.select([1, 3, 4])}
    assert bool(torch.isfinite(fused(name, problem.with_observations(apart)).full()).all())
    masks = {}
    for role, seen in problem.observations.items():
        rows, cols = seen.data.shape[2:]
        valid = torch.zeros(len(seen.data), 1, rows, cols, dtype=torch.bool)
        half = slice(0, cols // 2) if role == "sharp" else slice(cols // 2, cols)
        valid[..., half] = True
        masks[role] = replace(seen, valid=valid, data=torch.where(valid, seen.data, 7.0))
    answer = fused(name, problem.with_observations(masks))
    assert bool(torch.isfinite(answer.full()).all())
    assert float(answer.full().abs().max()) < 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_coarse_image_that_does_not_cover_the_fine_one(name):
    problem = scene(dates=5)
    valid = torch.ones(5, 1, 24, 24, dtype=torch.bool)
    valid[..., 16:] = False
    dense = replace(problem.dense, valid=valid, data=torch.where(valid, problem.dense.data, 7.0))
    answer = fused(name, problem.with_observations({"dense": dense}))
    assert float(answer.full().abs().max()) < 1.0
    assert int(Quality.FUSED) not in answer.quality[1, 0, :, 32:].unique().tolist()
