"""Every method that fuses series, found by discovery, on the series that the world really gives.

Nothing becomes NaN or leaves the data's own range far behind, what the sharp sensor saw is given back, and
the unit of the data does not matter.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stfscenes import replaced, stf_problem

from stsfusion import methods
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Problem
from stsfusion.learning.series import SeriesMethod

SERIES = [name for name in methods.names() if issubclass(methods.kind(name), SeriesMethod)]
"""Every method that fuses a series."""

WILD = 2.0
"""Largest answer, in the data's largest value."""

DAYS = (0.0, 10.0, 24.0, 60.0)


def masked(problem: Problem, role: str, *where: object) -> Problem:
    """Not seen there, with something wild under the mask."""
    seen = problem.observations[role]
    valid = seen.valid.expand(len(seen.data), 1, *seen.data.shape[2:]).clone()
    valid[where] = False
    return problem.with_observations({role: replace(seen, data=seen.data.where(valid, 9.0), valid=valid)})


def answered(name: str, problem: Problem):
    """The answer, after what must hold of any."""
    asked = problem.question()
    answer = methods.kind(name).example().fit([asked]).fuse(asked)
    assert torch.isfinite(answer.values).all()
    seen = [o.data[o.valid.expand_as(o.data)].abs().max() for o in problem.observations.values()]
    assert answer.values.abs().max() <= WILD * max(seen)
    sharp = problem.sharp
    whole = sharp.valid.expand_as(sharp.data)
    assert torch.equal(answer.values[sharp.dates][whole], sharp.data[whole])
    assert (answer.quality[sharp.dates][whole.all(1, keepdim=True)] == Quality.OBSERVED).all()
    return answer


def out_of_order() -> Problem:
    problem = stf_problem(days=DAYS, sharp_dates=(0, 1, 3))
    order = {"sharp": problem.sharp.select([2, 0, 1]), "dense": problem.dense.select([3, 1, 0, 2])}
    return problem.with_observations(order)


def apart() -> Problem:
    """No date that both saw."""
    problem = stf_problem(days=DAYS, sharp_dates=(0, 3))
    return problem.with_observations({"dense": problem.dense.select([1, 2])})


SCENES = {
    "one date": lambda: stf_problem(days=(0.0,), sharp_dates=(0,)),
    "one pair": lambda: stf_problem(sharp_dates=(1,)),
    "many pairs": lambda: stf_problem(days=DAYS, sharp_dates=(0, 1, 3), gaps=True),
    "one band": lambda: stf_problem(bands=1),
    "the same grid": lambda: stf_problem(ratio=1),
    "out of order": out_of_order,
    "no date in common": apart,
    "before the first pair and after the last": lambda: stf_problem(days=DAYS, sharp_dates=(1, 2)),
    "a base under cloud": lambda: masked(stf_problem(days=DAYS, sharp_dates=(0, 1, 3)), "sharp", 1),
    "the only base next to all under cloud": lambda: masked(
        stf_problem(sharp_dates=(0,)), "sharp", 0, slice(None), slice(0, 23)
    ),
    "an asked date under cloud": lambda: masked(stf_problem(days=DAYS), "dense", 1),
    "a dense image of half the ground": lambda: masked(stf_problem(), "dense", ..., slice(0, 2)),
    "a sharp image of half the ground": lambda: masked(stf_problem(), "sharp", ..., slice(0, 9)),
    "no pixel in common": lambda: masked(
        masked(stf_problem(), "sharp", ..., slice(0, 8)), "dense", ..., slice(2, 5)
    ),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("name", SERIES)
def test_any_series_is_answered(name, scene):
    answered(name, scene())


@pytest.mark.parametrize("level", [0.3, 0.0, -0.2])
@pytest.mark.parametrize("name", SERIES)
def test_constant_images_give_a_constant(name, level):
    problem = stf_problem(days=DAYS)
    flat = replaced(problem, **{r: torch.full_like(o.data, level) for r, o in problem.observations.items()})
    values = answered(name, flat).values
    torch.testing.assert_close(values, torch.full_like(values, level), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SERIES)
def test_negative_values_are_answered(name):
    problem = stf_problem(gaps=True)
    answered(name, replaced(problem, **{r: o.data - 0.2 for r, o in problem.observations.items()}))


@pytest.mark.parametrize("name", SERIES)
def test_the_unit_of_the_data_does_not_matter(name):
    plain, counts = (stf_problem(gaps=True, scale=scale) for scale in (1.0, 1000.0))
    values, other = (answered(name, problem).values for problem in (plain, counts))
    far = (other / 1000.0 - values).abs() > 1e-4 * values.abs() + 1e-5
    assert far.float().mean() < 2e-3, "more than the pixels that rounding lifts over a threshold"


@pytest.mark.parametrize("name", SERIES)
def test_dates_that_no_one_saw_say_so(name):
    problem = stf_problem(days=(0.0, 10.0, 24.0, 60.0, 900.0), sharp_dates=(0, 3))
    answer = answered(name, problem.with_observations({"dense": problem.dense.select([0, 1, 3])}))
    kinds = [Quality.OBSERVED, Quality.FUSED, Quality.INTERPOLATED, Quality.OBSERVED, Quality.EXTRAPOLATED]
    for quality, kind in zip(answer.quality, kinds, strict=True):
        assert (quality == kind).all()
