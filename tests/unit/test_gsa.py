"""gsa against the injection of details written out in numpy, with a least-squares fit a date and band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.method import Geometry
from stsfusion.methods.gsa import GSA, Moments
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


def by_hand(problem):
    """(time, band, y, x) float64: OLS with an intercept, details of the intensities, linear in days."""
    rich, sharp = problem.rich, problem.sharp
    kernel, ratio = rich.view.spatial.kernel.numpy(), rich.ratio
    sharpened = []
    for z, y in zip(rich.data.double().numpy(), sharp.data.double().numpy(), strict=True):
        low = blurred(y, kernel, ratio)
        design = np.column_stack([low.reshape(len(low), -1).T, np.ones(low[0].size)])
        weights, *_ = np.linalg.lstsq(design, z.reshape(len(z), -1).T, rcond=None)
        intensity = np.einsum("lb,lyx->byx", weights[:-1], y) + weights[-1][:, None, None]
        coarse = np.einsum("lb,lyx->byx", weights[:-1], low) + weights[-1][:, None, None]
        sharpened.append(enlarged(z, ratio) + intensity - enlarged(coarse, ratio))
    days = problem.target.days.numpy()
    seen = days[rich.dates]
    flat = np.stack(sharpened).reshape(len(seen), -1)
    series = np.stack([np.interp(days, seen, column) for column in flat.T], 1)
    return series.reshape(problem.target.shape)


@pytest.mark.parametrize("ratio", [2, 3])
def test_equals_the_plain_formula(ratio):
    problem = tiny_problem(size=48, bands=8, ratios=(ratio, 2)).question()
    expected = by_hand(problem)
    exact = GSA(ridge=0.0).fit([problem]).fuse(problem).full().numpy()
    assert np.sqrt(np.mean((exact - expected) ** 2)) < 2e-6
    np.testing.assert_allclose(exact, expected, atol=2e-5)
    usual = GSA().fit([problem]).fuse(problem).full().numpy()
    assert np.sqrt(np.mean((usual - expected) ** 2)) < 2e-5


def test_the_reference_would_see_one_date_taken_for_another():
    problem = tiny_problem(size=48, bands=8).question()
    expected = by_hand(problem)
    fitted = GSA(ridge=0.0).fit([problem])
    swapped = fitted.with_state({**fitted.state, "weights": fitted.state["weights"].flip(0)})
    off = swapped.fuse(problem).full().numpy() - expected
    assert np.sqrt(np.mean(off**2)) > 1e-4


def test_what_is_learned_is_the_same_from_tiles_in_any_order():
    problem = tiny_problem(size=48).question()
    parts = [problem.crop(Window((0, 5), (y, y + 24), (x, x + 24))) for y in (0, 24) for x in (0, 24)]
    one, other = GSA().fit(parts).state, GSA().fit(parts[::-1]).state
    assert one["days"].tolist() == [0.0, 32.0, 64.0]
    assert one["weights"].shape == (3, 4, 20)
    torch.testing.assert_close(one["weights"], other["weights"])


def test_moments_add_up_and_give_the_slopes_of_least_squares():
    dice = np.random.default_rng(0)
    y = dice.random((3, 200))
    z = dice.random((5, 3)) @ y + 0.3 + 0.01 * dice.standard_normal((5, 200))
    known = torch.from_numpy(dice.random(200) > 0.3)
    whole = Moments.of(torch.from_numpy(z), torch.from_numpy(y), known)
    halves = [
        Moments.of(torch.from_numpy(z[:, part]), torch.from_numpy(y[:, part]), known[part])
        for part in (slice(0, 90), slice(90, 200))
    ]
    low, high = (part[:, known] - part[:, known].mean(1, keepdims=True) for part in (y, z))
    expected, *_ = np.linalg.lstsq(low.T, high.T, rcond=None)
    for found in (whole, halves[0].plus(halves[1]), halves[1].plus(halves[0])):
        np.testing.assert_allclose(found.weights(0.0).numpy(), expected, atol=1e-9)


def test_fitting_tells_how_far_it_is():
    problem = tiny_problem(size=24).question()
    told = []
    GSA().fit([problem] * 4, lambda done, what: told.append((done, what)))
    assert told == [(0.25, "regression"), (0.5, "regression"), (0.75, "regression"), (1.0, "regression")]


def test_a_dead_band_and_what_stands_under_its_mask_teach_nothing():
    problem = tiny_problem().question()
    valid = problem.rich.valid.repeat(1, 20, 1, 1)
    valid[:, 7] = False
    valid[0, 3, :5, :5] = False

    def under(mask, value):
        data = torch.where(mask, problem.rich.data, value)
        return replace(problem, rich=replace(problem.rich, data=data, valid=mask))

    calm, wild = (GSA().fit([under(valid, value)]).state["weights"] for value in (0.0, 9.0))
    assert torch.equal(calm, wild)
    assert not bool(calm[:, :, 7].any())
    everywhere = problem.rich.valid.clone()
    everywhere[0, :, :5, :5] = False
    without = GSA().fit([under(everywhere, 0.0)]).state["weights"]
    others = [b for b in range(20) if b != 7]
    torch.testing.assert_close(calm[:, :, others], without[:, :, others])


def test_a_date_without_a_sharp_image_gets_no_detail():
    problem = tiny_problem().question()
    fewer = replace(problem, sharp=problem.sharp.select([0, 2]))
    fitted = GSA().fit([fewer])
    assert fitted.state["days"].tolist() == [0.0, 64.0]
    plain = enlarged(problem.rich.data[1].numpy(), 3)
    np.testing.assert_allclose(fitted.fuse(fewer).full()[2].numpy(), plain, atol=2e-6)


def test_without_any_common_date_it_says_so():
    problem = tiny_problem().question()
    apart = replace(problem, rich=problem.rich.select([0]), sharp=problem.sharp.select([1]))
    with pytest.raises(ProblemError, match=r"method 'gsa'.*both saw, got none\.\n.*lineartime"):
        GSA().fit([apart])


def test_roles_and_learning_are_asked_for():
    with pytest.raises(ProblemError, match=r"(?s)method 'gsa'.*'sharp'"):
        GSA().fit([tiny_problem(roles=("rich", "dense")).question()])
    with pytest.raises(MethodError, match=r"method 'gsa'.*fitted"):
        GSA().fuse(tiny_problem().question())


def test_flags_tell_which_dates_are_interpolated():
    problem = tiny_problem().question()
    quality = GSA().fit([problem]).fuse(problem).quality
    flags = [int(q.unique().item()) for q in quality]
    assert flags == [Quality.OBSERVED, Quality.INTERPOLATED] * 2 + [Quality.OBSERVED]


def test_the_halo_grows_with_its_parts():
    small = GSA(passes=0).halo(Geometry({"rich": 3}, {"rich": 4}))
    assert small == 4 + 6 + 3
    assert GSA(passes=2).halo(Geometry({"rich": 3}, {"rich": 4})) == small + 8


def test_a_mask_of_one_value_is_a_mask():
    """Masks broadcast: one truth value for a whole observation is allowed."""
    problem = tiny_problem(size=48, dates=3)
    brief = {
        role: replace(seen, valid=torch.ones(1, 1, 1, 1, dtype=torch.bool))
        for role, seen in problem.observations.items()
    }
    other = problem.with_observations(brief).question()
    expected = GSA().fit([problem.question()]).fuse(problem.question()).full()
    torch.testing.assert_close(GSA().fit([other]).fuse(other).full(), expected)
