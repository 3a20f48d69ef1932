"""Features of a series, and of one that could have been."""

from dataclasses import replace

import torch

from stsfusion.fusion.wald import hide
from stsfusion.learning.features import mixed
from stsfusion.learning.lessons import exercises
from stsfusion.learning.posing import Asked
from stsfusion.learning.units import learn_units
from stsfusion.operators.resample import upsample
from stsfusion.testing import tiny_problem


def posed(problem, units):
    """Features of a problem with nothing hidden beyond what it lacks."""
    whole = next(e for e in exercises([problem], 1) if not e.shifted and not e.hidden)
    return Asked.of(whole, units).features(1e-3)[0]


def parts():
    problem = hide(hide(tiny_problem().question(), "rich", [2]), "sharp", [2])
    return problem, learn_units([problem], rank=4, share=1.0, axes=2, passes=2, by="test")


def test_a_mixture_of_features_is_the_features_of_a_mixture():
    problem, units = parts()
    dense = problem.dense
    data = dense.data.clone()
    data[2] = data[2].lerp(data[4], 0.3)
    other = replace(problem, dense=replace(dense, data=data))
    wanted = posed(other, units)
    made = mixed(posed(problem, units), units.layout, units.scaling.axes, (2, 4), 0.3)
    torch.testing.assert_close(made[2], wanted[2], atol=2e-4, rtol=0)


def test_scores_are_the_series_linear_in_days():
    problem, units = parts()
    x = posed(problem, units)
    scores, _ = units.subspace.project(problem.rich.data, problem.rich.valid)
    fine = upsample(scores, 3)
    part = units.layout.part("scores")
    torch.testing.assert_close(x[0, part], fine[0])
    torch.testing.assert_close(x[1, part], 0.75 * fine[0] + 0.25 * fine[1], atol=1e-5, rtol=1e-5)
    assert x[:, units.layout.seen].amax((1, 2)).tolist() == [1, 0, 0, 0, 1]


def test_the_dense_bands_keep_what_the_dense_sensor_saw():
    """Blurred, the detailed image is the dense image again up to what interpolation cannot hold."""
    problem, units = parts()
    now = posed(problem, units)[:, units.layout.part("now")]
    blur = problem.dense.view.spatial.with_shape(tuple(now.shape))
    seen = units.scaling.of_dense(problem.dense.data)
    plain = upsample(seen, 2)
    assert float((blur(now) - seen).square().mean()) < 0.2 * float((blur(plain) - seen).square().mean())
