"""STARFM against a loop over pixels, and what must hold of it on any scene."""

import numpy as np
import pytest
import references_stf
import torch
from stfscenes import laid_out, replaced, stf_problem

from stsfusion.fusion.memory import peak_bytes
from stsfusion.methods.starfm import STARFM

CASES = {
    "two pairs": ({}, {}),
    "gaps in both sensors": ({"gaps": True}, {}),
    "three pairs": (
        {"days": (0.0, 10.0, 16.0, 40.0), "sharp_dates": (0, 2, 3), "gaps": True},
        {"bases": "all"},
    ),
    "one pair": ({"sharp_dates": (0,)}, {}),
    "the nearest pair of two": ({"gaps": True}, {"bases": "nearest"}),
    "one band": ({"bands": 1}, {}),
    "logarithms": ({}, {"logarithmic": True}),
    "a tight filter": ({"gaps": True}, {"uncertainty": 0.0, "classes": 30.0}),
    "another distance": ({}, {"decay": 0.2, "floor": 0.05}),
    "a wide window": ({}, {"window": 31}),
    "the same grid": ({"ratio": 1}, {}),
}


def reference(problem, method, date):
    images, asked, rows = laid_out(problem, method, date)
    settings = ("classes", "uncertainty", "floor", "logarithmic")
    return asked, references_stf.starfm(
        *images,
        spread=method.state["own.spread"].double().numpy()[rows],
        level=float(method.state["own.level"]),
        radius=method.radius,
        decay=method.decay * method.radius,
        **{name: getattr(method, name) for name in settings},
    )


@pytest.mark.parametrize(("scene", "settings"), CASES.values(), ids=CASES)
def test_it_is_what_a_loop_over_pixels_gives(scene, settings):
    problem = stf_problem(**{"size": (20, 16), **scene})
    method = STARFM(**{"window": 9, **settings}).fit([problem.question()])
    asked, expected = reference(problem, method, 1)
    values = method.fuse(problem.question()).values[1].numpy()
    np.testing.assert_allclose(values[:, asked], expected[:, asked], rtol=0, atol=1e-4)


def test_each_step_is_felt():
    problem = stf_problem().question()

    def values(**settings):
        return STARFM(**{"window": 9, **settings}).fit([problem]).fuse(problem).values[1]

    plain = values()
    others = ({"classes": 30.0}, {"uncertainty": 0.0}, {"floor": 0.05}, {"decay": 0.2}, {"logarithmic": True})
    for settings in (*others, {"bases": "nearest"}, {"window": 21}):
        assert (values(**settings) - plain).abs().max() > 1e-3, settings


def test_a_pixel_of_which_the_coarse_image_did_not_change_is_copied():
    problem = stf_problem().question()
    still = replaced(problem, dense=problem.dense.data[[0, 0, 2]])
    values = STARFM(window=9).fit([still]).fuse(still).values
    torch.testing.assert_close(values[1], problem.sharp.data[0])


def test_a_pixel_that_both_sensors_see_alike_takes_the_coarse_value():
    problem = stf_problem(ratio=1).question()
    same = replaced(problem, dense=torch.cat([problem.sharp.data[:1], problem.dense.data[1:]]))
    values = STARFM(window=9, bases="nearest").fit([same]).fuse(same).values
    torch.testing.assert_close(values[1], problem.dense.data[1])


@pytest.mark.parametrize("scale", [1000.0, 0.037])
def test_the_unit_of_the_data_does_not_matter(scale):
    plain, scaled = (stf_problem(gaps=True, scale=s).question() for s in (1.0, scale))
    values, other = (STARFM(window=9).fit([p]).fuse(p).values for p in (plain, scaled))
    far = (other / scale - values).abs() > 1e-4 * values.abs() + 1e-6
    assert far.float().mean() < 1e-3, "more than a pixel that rounding lifts over a threshold"


@pytest.mark.parametrize("level", [0.2, 0.0, -0.4])
def test_constant_images_stay_constant(level):
    problem = stf_problem().question()
    flat = replaced(problem, **{r: torch.full_like(o.data, level) for r, o in problem.observations.items()})
    answer = STARFM(window=9).fit([flat]).fuse(flat)
    torch.testing.assert_close(answer.values, torch.full_like(answer.values, level))


def test_negative_scenes_are_answered():
    problem = stf_problem(gaps=True).question()
    low = replaced(problem, **{role: seen.data - 0.4 for role, seen in problem.observations.items()})
    values, other = (STARFM(window=9).fit([p]).fuse(p).values for p in (problem, low))
    assert torch.isfinite(other).all()
    assert (other + 0.4 - values).abs().mean() < 0.02


def test_memory_follows_the_tile_and_not_the_window():
    problem = stf_problem(size=(48, 48)).question()
    peaks = [peak_bytes(lambda m=STARFM(window=w).fit([problem]): m.fuse(problem)) for w in (9, 41)]
    assert peaks[1] < 5 * peaks[0]
