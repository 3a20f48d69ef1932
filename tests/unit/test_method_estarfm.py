"""ESTARFM against a loop over pixels, and what must hold of it on any scene."""

import numpy as np
import pytest
import references_stf
import torch
from stfscenes import laid_out, replaced, stf_problem

from stsfusion.fusion.answer import Quality
from stsfusion.methods.estarfm import ESTARFM


def reference(problem, method, date):
    images, asked, rows = laid_out(problem, method, date)
    own = {name.removeprefix("own."): t.double().numpy() for name, t in method.state.items()}
    settings = ("classes", "fewest", "change", "significance", "steepest", "margin")
    return asked, references_stf.estarfm(
        *images,
        spread=own["spread"][rows],
        level=float(own["level"]),
        low=own["low"],
        high=own["high"],
        radius=method.radius,
        **{name: getattr(method, name) for name in settings},
    )


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
    "few alike pixels": ({}, {"classes": 60.0, "fewest": 8}),
    "after the last pair": ({"sharp_dates": (0, 1)}, {}),
    "out of range": ({"sharp_dates": (0, 1)}, {"margin": 0.0}),
    "slopes everywhere": ({"gaps": True}, {"change": 0.0, "significance": 0.5}),
    "a wide window": ({}, {"window": 31}),
    "the same grid": ({"ratio": 1}, {}),
}


@pytest.mark.parametrize(("scene", "settings"), CASES.values(), ids=CASES)
def test_it_is_what_a_loop_over_pixels_gives(scene, settings):
    problem = stf_problem(**scene)
    method = ESTARFM(**{"window": 9, "change": 0.05, **settings}).fit([problem.question()])
    (date, *_) = set(range(len(problem.target.days))) - set(problem.sharp.dates)
    asked, expected = reference(problem, method, date)
    values = method.fuse(problem.question()).values[date].numpy()
    np.testing.assert_allclose(values[:, asked], expected[:, asked], rtol=0, atol=1e-4)


def test_each_step_is_felt():
    """The cases above would not tell a method without slopes, weights or the few-pixel rule from this one."""
    problem = stf_problem(sharp_dates=(0, 1)).question()

    def values(**settings):
        return ESTARFM(**{"window": 9, "change": 0.05, **settings}).fit([problem]).fuse(problem).values[2]

    plain = values()
    few = {"classes": 15.0}
    for settings in ({"change": 9.0}, few, {"window": 15}, {"margin": 0.0}):
        assert (values(**settings) - plain).abs().max() > 1e-3, settings
    assert (values(**few, fewest=8) - values(**few)).abs().max() > 1e-3


def test_whole_images_are_strips_of_themselves():
    problem = stf_problem(size=(72, 40), gaps=True)
    method = ESTARFM(window=9).fit([problem.question()])
    asked, expected = reference(problem, method, 1)
    values = method.fuse(problem.question()).values[1].numpy()
    np.testing.assert_allclose(values[:, asked], expected[:, asked], rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [1000.0, 0.037])
def test_the_unit_of_the_data_does_not_matter(scale):
    plain, scaled = (stf_problem(gaps=True, scale=s).question() for s in (1.0, scale))
    values, other = (ESTARFM(window=9).fit([p]).fuse(p).values for p in (plain, scaled))
    far = (other / scale - values).abs() > 1e-4 * values.abs() + 1e-6
    assert far.float().mean() < 1e-3, "more than a pixel that rounding lifts over a threshold"


@pytest.mark.parametrize("level", [0.2, 0.0, -0.4])
def test_constant_images_stay_constant(level):
    problem = stf_problem().question()
    flat = replaced(problem, **{r: torch.full_like(o.data, level) for r, o in problem.observations.items()})
    answer = ESTARFM(window=9).fit([flat]).fuse(flat)
    torch.testing.assert_close(answer.values, torch.full_like(answer.values, level))


@pytest.mark.parametrize("bands", [1, 3])
def test_negative_scenes_are_answered(bands):
    problem = stf_problem(gaps=True, bands=bands).question()
    low = replaced(problem, **{role: seen.data - 0.4 for role, seen in problem.observations.items()})
    assert torch.isfinite(ESTARFM(window=9).fit([low]).fuse(low).values).all()


def test_a_coarse_sensor_that_shows_half_the_change_is_seen_through():
    problem = stf_problem(ratio=1, sharp_dates=(0, 1)).question()
    start = problem.sharp.data[:1]
    change = 0.08 + 0.2 * (start - start.mean())
    series = torch.cat([start, start + change, start + 2 * change])
    told = replaced(problem, sharp=series[:2], dense=series / 2)
    values = ESTARFM(window=15, change=0.01).fit([told]).fuse(told).values[2]
    without = ESTARFM(window=15, change=10.0).fit([told]).fuse(told).values[2]
    error, plain = ((image - series[2]).abs().mean() for image in (values, without))
    assert error < 0.2 * plain


def test_pixels_under_a_cloud_of_one_base_are_made_from_the_other():
    problem = stf_problem(gaps=True).question()
    answer = ESTARFM(window=9).fit([problem]).fuse(problem)
    assert (answer.quality[1, 0, 6:15, 5:9] == Quality.FUSED).all()
    assert (answer.values[1, :, 6:15, 5:12] - stf_problem().truth[1, :, 6:15, 5:12]).abs().max() < 0.2
