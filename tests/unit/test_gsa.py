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
from stsfusion.methods.gsa import GSA
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


def inside(shape, kernel, ratio):
    """(y, x) bool: coarse pixels that see less than a hundredth of what lies beyond the edge."""
    frame = 2 * ratio
    ones = np.pad(np.ones(shape), frame)
    return blurred(ones, kernel, ratio)[2:-2, 2:-2] > 0.99


def by_hand(problem):
    """(time, band, y, x) float64: OLS with an intercept, details of the intensities, linear in days."""
    rich, sharp = problem.rich, problem.sharp
    kernel, ratio = rich.view.spatial.kernel.numpy(), rich.ratio
    sharpened = []
    for z, y in zip(rich.data.double().numpy(), sharp.data.double().numpy(), strict=True):
        low = blurred(y, kernel, ratio)
        design = np.column_stack([low.reshape(len(low), -1).T, np.ones(low[0].size)])
        clear = inside(y.shape[1:], kernel, ratio).ravel()
        weights, *_ = np.linalg.lstsq(design[clear], z.reshape(len(z), -1).T[clear], rcond=None)
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
    exact = GSA(psf="given", ridge=0.0).fit([problem]).fuse(problem).full().numpy()
    assert np.sqrt(np.mean((exact - expected) ** 2)) < 2e-6
    np.testing.assert_allclose(exact, expected, atol=2e-5)
    usual = GSA(psf="given").fit([problem]).fuse(problem).full().numpy()
    assert np.sqrt(np.mean((usual - expected) ** 2)) < 5e-5


def test_the_reference_would_see_one_date_taken_for_another():
    problem = tiny_problem(size=48, bands=8).question()
    expected = by_hand(problem)
    fitted = GSA(psf="given", ridge=0.0).fit([problem])
    other = {"0.weights": fitted.state["2.weights"], "2.weights": fitted.state["0.weights"]}
    swapped = fitted.with_state({**fitted.state, **other})
    off = swapped.fuse(problem).full().numpy() - expected
    assert np.sqrt(np.mean(off**2)) > 1e-4


def test_what_is_learned_is_the_same_from_tiles_in_any_order():
    problem = tiny_problem(size=48).question()
    parts = [problem.crop(Window((0, 5), (y, y + 24), (x, x + 24))) for y in (0, 24) for x in (0, 24)]
    one, other = (GSA(psf="given").fit(tiles).state for tiles in (parts, parts[::-1]))
    assert one["days"].tolist() == [0.0, 32.0, 64.0]
    for date in range(3):
        assert one[f"{date}.weights"].shape == (4, 20)
        torch.testing.assert_close(one[f"{date}.weights"], other[f"{date}.weights"])


def test_fitting_tells_how_far_it_is():
    problem = tiny_problem(size=24).question()
    told = []
    GSA().fit([problem], lambda done, what: told.append((round(done, 2), what)))
    shares = [done for done, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) == 4


def test_a_dead_band_and_what_stands_under_its_mask_teach_nothing():
    problem = tiny_problem().question()
    valid = problem.rich.valid.repeat(1, 20, 1, 1)
    valid[:, 7] = False
    valid[0, 3, :5, :5] = False

    def under(mask, value):
        data = torch.where(mask, problem.rich.data, value)
        return replace(problem, rich=replace(problem.rich, data=data, valid=mask))

    calm, wild = (GSA().fit([under(valid, value)]).state for value in (0.0, 9.0))
    assert all(torch.equal(calm[name], wild[name]) for name in calm)
    assert calm["live"].tolist() == [b != 7 for b in range(20)]
    everywhere = problem.rich.valid.repeat(1, 20, 1, 1)
    everywhere[:, 7] = False
    everywhere[0, :, :5, :5] = False
    without = GSA().fit([under(everywhere, 0.0)]).state
    assert calm["0.weights"].shape == (4, 19)
    torch.testing.assert_close(calm["0.weights"], without["0.weights"])


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
