"""lineartime: linear in days, then cubic convolution, against numpy and torch on their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Problem, Target
from stsfusion.methods.lineartime import LinearTime
from stsfusion.testing import tiny_problem


def irregular(days, gaps=False):
    """The tiny problem with other days between the same images."""
    problem = tiny_problem(gaps=gaps).question()
    target = Target(problem.target.shape, problem.target.wavelengths, torch.tensor(days))
    return Problem(target, **problem.observations)


def enlarged(series, ratio):
    """Cubic convolution with a = −1/2 by torch's antialiased resize, which uses that a; edges differ."""
    return torch.nn.functional.interpolate(
        torch.from_numpy(series), scale_factor=ratio, mode="bicubic", align_corners=False, antialias=True
    ).numpy()


def interpolated(problem):
    """np.interp over the valid dates of every pixel and band."""
    data, days = problem.rich.data.double().numpy(), problem.target.days.numpy()
    valid = np.broadcast_to(problem.rich.valid.numpy(), data.shape)
    out = np.zeros((len(days), *data.shape[1:]))
    seen = days[problem.rich.dates]
    for b, y, x in np.ndindex(*data.shape[1:]):
        own = valid[:, b, y, x]
        out[:, b, y, x] = np.interp(days, seen[own], data[own, b, y, x])
    return out


@pytest.mark.parametrize("gaps", [False, True])
def test_equals_interpolation_in_days_and_a_library_resize(gaps):
    problem = irregular([0.0, 3.0, 40.0, 41.5, 90.0], gaps)
    got = LinearTime().fuse(problem).full().numpy()
    expected = enlarged(interpolated(problem), 3)
    inner = np.s_[:, :, 6:-6, 6:-6]
    np.testing.assert_allclose(got[inner], expected[inner], atol=2e-6)


def test_days_matter_and_not_places_in_the_list():
    even, uneven = irregular([0.0, 16.0, 32.0, 48.0, 64.0]), irregular([0.0, 1.0, 32.0, 48.0, 64.0])
    difference = (LinearTime().fuse(even).full() - LinearTime().fuse(uneven).full()).abs().amax((1, 2, 3))
    assert difference[1] > 1e-2
    assert difference[[0, 2, 3, 4]].max() < 1e-6


def test_dates_outside_the_observed_ones_repeat_the_nearest_and_say_so():
    problem = tiny_problem().question()
    middle = replace(problem, rich=problem.rich.select([1]))
    answer = LinearTime().fuse(middle)
    assert bool((answer.full() == answer.full()[2]).all())
    flags = [int(q.unique().item()) for q in answer.quality]
    assert flags == [Quality.EXTRAPOLATED] * 2 + [Quality.OBSERVED] + [Quality.EXTRAPOLATED] * 2


def test_the_missing_role_is_named():
    with pytest.raises(ProblemError, match=r"method 'lineartime'.*rich"):
        LinearTime().fuse(tiny_problem(roles=("sharp", "dense")).question())
