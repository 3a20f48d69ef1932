"""What spatio-temporal methods share: dates, bases, gaps and quality, shown by one that adds the change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.method import Card, Geometry
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.looks import Base, Looks
from stsfusion.learning.series import SeriesMethod
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import upsample
from stsfusion.testing import METHOD_CHECKS

OBSERVED, FUSED, BETWEEN, OUTSIDE, FILLED, NOTHING = (
    int(q)
    for q in (
        Quality.OBSERVED,
        Quality.FUSED,
        Quality.INTERPOLATED,
        Quality.EXTRAPOLATED,
        Quality.FILLED,
        Quality.NO_DATA,
    )
)


@dataclass
class Change(SeriesMethod):
    """The mean of its bases, each with the coarse change since then."""

    asked: ClassVar[list] = []

    @property
    def card(self) -> Card:
        return Card(
            name="change",
            title="Coarse change",
            source="none",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
        )

    def learn(self, tiles, tick):
        return {
            "level": torch.stack([tile.base(self.bases_of(tile)[0]).fine.mean() for tile in tiles]).mean()
        }

    def predict(self, bases, asked, state):
        assert set(state) == {"level"}
        Change.asked = [*Change.asked, (asked.day, [base.day for base in bases])]
        return torch.stack([base.fine + asked.coarse - base.coarse for base in bases]).mean(0)


@pytest.fixture(autouse=True)
def _nothing_asked():
    Change.asked = []


def series(days, sharp_dates, dense_dates=None, bands=2, ratio=2, size=12, seed=0):
    """Noise as the truth: every date, band and pixel has a number of its own."""
    truth = torch.rand(len(days), bands, size, size, generator=torch.Generator().manual_seed(seed))
    target = Target(
        tuple(truth.shape), torch.linspace(500.0, 900.0, bands), torch.tensor(days, dtype=torch.float64)
    )
    dense_dates = list(range(len(days))) if dense_dates is None else dense_dates
    views = {
        "sharp": Degradation.of(target.shape, dates=list(sharp_dates)),
        "dense": Degradation.of(target.shape, dates=list(dense_dates), kernel=box_kernel(ratio), ratio=ratio),
    }
    seen = {
        role: Observation(view(truth), torch.ones(1, 1, 1, 1, dtype=torch.bool), view)
        for role, view in views.items()
    }
    return Problem(target, truth=truth).with_observations(seen)


def gap(problem: Problem, role: str, *where: object) -> Problem:
    """With a gap in one role, and something wild under it."""
    seen = problem.observations[role]
    valid = seen.valid.expand(len(seen.data), seen.data.shape[1], *seen.data.shape[2:]).clone()
    valid[where] = False
    return problem.with_observations(
        {role: replace(seen, data=torch.where(valid, seen.data, -77.0), valid=valid)}
    )


def fused(problem: Problem, **settings):
    return Change(**settings).fit([problem.question()]).fuse(problem.question())


def coarse_of(problem: Problem):
    return upsample(problem.dense.data, problem.dense.ratio)


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize("check", METHOD_CHECKS.values(), ids=METHOD_CHECKS)
def test_the_template_keeps_the_contract(check):
    check(Change)


def test_the_halo_is_all_that_it_needs():
    halo = Change(passes=3).halo(Geometry({"sharp": 1, "dense": 4}))
    assert halo == 2 * 4 + 3 * (4 + 1)


# ---------------------------------------------------------------- what is given back


def test_the_sharp_image_itself_where_it_was_seen():
    problem = series((0.0, 10.0, 20.0), (0, 2))
    answer = fused(problem)
    for date in (0, 2):
        assert torch.equal(answer.values[date], problem.truth[date])
        assert (answer.quality[date] == OBSERVED).all()
    assert (answer.quality[1] == FUSED).all()


def test_the_prediction_elsewhere():
    problem = series((0.0, 10.0, 20.0), (0, 2))
    coarse = coarse_of(problem)
    expected = (problem.truth[0] - coarse[0] + problem.truth[2] - coarse[2]) / 2 + coarse[1]
    torch.testing.assert_close(fused(problem).values[1], expected)


def test_a_gap_in_the_sharp_image_is_predicted_from_the_other_dates():
    problem = gap(series((0.0, 10.0, 20.0), (0, 1, 2)), "sharp", 1, slice(None), slice(2, 5), slice(3, 9))
    answer, coarse = fused(problem), coarse_of(problem)
    hole = torch.zeros(12, 12, dtype=torch.bool)
    hole[2:5, 3:9] = True
    expected = (problem.truth[0] - coarse[0] + problem.truth[2] - coarse[2]) / 2 + coarse[1]
    torch.testing.assert_close(answer.values[1][:, hole], expected[:, hole])
    assert torch.equal(answer.values[1][:, ~hole], problem.truth[1][:, ~hole])
    assert (answer.quality[1, 0][hole] == FUSED).all()
    assert (answer.quality[1, 0][~hole] == OBSERVED).all()
    assert Change.asked == [(10.0, [0.0, 20.0])]


def test_a_band_that_was_seen_is_kept_where_another_was_not():
    problem = gap(series((0.0, 10.0, 20.0), (0, 1, 2)), "sharp", 1, 0, slice(2, 5), slice(3, 9))
    values = fused(problem).values[1]
    assert torch.equal(values[1], problem.truth[1, 1])
    assert not torch.equal(values[0], problem.truth[1, 0])
    assert values.abs().max() < 5


def test_a_date_that_no_one_saw_is_linear_in_days_between_those_that_were_made():
    problem = series((0.0, 10.0, 16.0, 20.0, 26.0), (0, 3), (0, 1, 3))
    answer = fused(problem)
    torch.testing.assert_close(answer.values[2], 0.4 * answer.values[1] + 0.6 * answer.values[3])
    torch.testing.assert_close(answer.values[4], answer.values[3])
    assert (answer.quality[2] == BETWEEN).all()
    assert (answer.quality[4] == OUTSIDE).all()
    assert Change.asked == [(10.0, [0.0, 20.0])]


def test_pixels_that_the_dense_sensor_missed_are_linear_in_days():
    problem = gap(series((0.0, 10.0, 16.0, 20.0), (0, 3)), "dense", 2, slice(None), slice(1, 3), slice(0, 2))
    answer = fused(problem)
    hole = torch.zeros(12, 12, dtype=torch.bool)
    hole[2:6, 0:4] = True
    expected = 0.4 * answer.values[1] + 0.6 * answer.values[3]
    torch.testing.assert_close(answer.values[2][:, hole], expected[:, hole])
    assert (answer.quality[2, 0][hole] == BETWEEN).all()
    assert (answer.quality[2, 0][~hole] == FUSED).all()


def test_where_the_sharp_sensor_never_saw_the_dense_one_stands_and_says_so():
    everywhere = (slice(None), slice(None), slice(0, 8), slice(None))
    problem = gap(series((0.0, 10.0, 20.0), (0, 2)), "sharp", *everywhere)
    answer = fused(problem, passes=1)
    assert (answer.quality[:, 0, :8] == FILLED).all()
    assert (answer.quality[1, 0, 8:] == FUSED).all()
    torch.testing.assert_close(answer.values[:, :, :7], coarse_of(problem)[:, :, :7])


def test_where_no_one_ever_saw_there_is_no_data():
    problem = gap(series((0.0, 10.0, 20.0), (0, 2)), "sharp", ..., slice(0, 6), slice(None))
    problem = gap(problem, "dense", ..., slice(0, 3), slice(None))
    answer = fused(problem, passes=0)
    assert (answer.quality[:, 0, :6] == NOTHING).all()
    assert torch.isfinite(answer.values).all()


def test_where_only_the_sharp_sensor_saw_it_is_linear_in_days():
    problem = gap(series((0.0, 5.0, 20.0), (0, 2)), "dense", ..., slice(0, 3), slice(0, 3))
    answer = fused(problem, passes=0)
    expected = 0.75 * problem.truth[0] + 0.25 * problem.truth[2]
    torch.testing.assert_close(answer.values[1, :, :2, :2], expected[:, :2, :2])
    assert (answer.quality[1, 0, :6, :6] == BETWEEN).all()


# ---------------------------------------------------------------- gaps of the bases


def test_gaps_of_a_base_take_what_the_other_dates_and_the_coarse_change_say():
    problem = gap(series((0.0, 8.0, 20.0), (0, 1, 2)), "sharp", 1, slice(None), slice(2, 5), slice(3, 9))
    tile = Looks.of(problem.question(), torch.ones(2, dtype=torch.bool), 2)
    base, coarse = tile.base(1), coarse_of(problem)
    assert isinstance(base, Base)
    assert not base.known[2:5, 3:9].any()
    assert base.known.sum() == 144 - 18
    apart = 0.6 * (problem.truth[0] - coarse[0]) + 0.4 * (problem.truth[2] - coarse[2])
    torch.testing.assert_close(base.fine[:, 2:5, 3:9], (coarse[1] + apart)[:, 2:5, 3:9])
    assert torch.equal(base.fine[:, 5:], problem.truth[1][:, 5:])


def test_a_base_is_known_where_both_saw():
    problem = gap(series((0.0, 8.0, 20.0), (0, 1, 2)), "dense", 1, slice(None), 2, 3)
    known = Looks.of(problem.question(), torch.ones(2, dtype=torch.bool), 2).base(1).known
    assert not known[4:6, 6:8].any()
    assert known.sum() == 140


# ---------------------------------------------------------------- bases


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("around", [10.0, 40.0]), ("nearest", [10.0]), ("all", [0.0, 10.0, 40.0, 50.0])],
)
def test_bases_are_chosen_by_days(choice, expected):
    fused(series((0.0, 10.0, 24.0, 40.0, 50.0), (0, 1, 3, 4)), bases=choice)
    assert Change.asked == [(24.0, expected)]


def test_outside_the_bases_the_two_nearest_are_taken():
    fused(series((0.0, 10.0, 24.0, 40.0, 50.0), (1, 2, 3)))
    assert Change.asked == [(0.0, [10.0, 24.0]), (50.0, [24.0, 40.0])]


def test_only_dates_that_both_saw_are_bases():
    fused(series((0.0, 10.0, 24.0, 40.0), (0, 1, 3), (0, 2, 3)))
    assert Change.asked == [(24.0, [0.0, 40.0])]


def test_without_a_common_date_the_dense_series_is_read_between_its_dates():
    problem = series((0.0, 10.0, 24.0, 40.0), (0, 3), (1, 2))
    answer = fused(problem)
    assert Change.asked == [(10.0, [0.0, 40.0]), (24.0, [0.0, 40.0])]
    first, second = coarse_of(problem)
    apart = (problem.truth[0] - first + problem.truth[3] - second) / 2
    torch.testing.assert_close(answer.values[1], apart + first)


def test_a_date_of_which_next_to_nothing_was_seen_is_no_base():
    problem = gap(series((0.0, 10.0, 24.0, 40.0), (0, 1, 3)), "sharp", 1, ..., slice(0, 12), slice(0, 12))
    assert torch.isfinite(fused(problem).values).all()
    assert (24.0, [0.0, 40.0]) in Change.asked


def test_clouds_over_all_of_a_base_still_leave_an_answer():
    problem = gap(series((0.0, 10.0, 24.0), (0,)), "sharp", 0, ..., slice(0, 12), slice(0, 11))
    answer = fused(problem)
    assert torch.isfinite(answer.values).all()
    assert (answer.quality[1:, 0, :, 11] == FUSED).all()


def test_the_order_in_which_dates_are_given_does_not_matter():
    problem = series((0.0, 10.0, 24.0, 40.0), (0, 1, 3))
    mixed = problem.with_observations(
        {"sharp": problem.sharp.select([2, 0, 1]), "dense": problem.dense.select([3, 1, 0, 2])}
    )
    assert torch.equal(fused(problem).values, fused(mixed).values)


def test_one_date_alone():
    problem = series((0.0,), (0,))
    assert torch.equal(fused(problem).values, problem.truth)


def test_a_dense_sensor_on_the_same_grid():
    problem = series((0.0, 10.0, 20.0), (0, 2), ratio=1)
    torch.testing.assert_close(fused(problem).values[1], problem.truth[1])


def test_constant_images_stay_constant():
    problem = series((0.0, 10.0, 20.0), (0, 2))
    flat = problem.with_observations(
        {role: replace(o, data=torch.full_like(o.data, 0.3)) for role, o in problem.observations.items()}
    )
    torch.testing.assert_close(fused(flat).values, torch.full((3, 2, 12, 12), 0.3))


# ---------------------------------------------------------------- bands


def test_a_band_that_one_sensor_lost_is_made_of_the_other():
    problem = series((0.0, 5.0, 20.0), (0, 2), bands=3)
    problem = gap(gap(problem, "dense", slice(None), 0), "sharp", slice(None), 2)
    values, truth = fused(problem).values, problem.truth
    torch.testing.assert_close(values[1, 0], 0.75 * truth[0, 0] + 0.25 * truth[2, 0])
    torch.testing.assert_close(values[:, 2], coarse_of(problem)[:, 2])
    assert torch.equal(values[[0, 2], 1], truth[[0, 2], 1])


def test_other_bands_are_refused():
    problem = tiny_problem(roles=("sharp", "dense")).question()
    with pytest.raises(ProblemError, match="chain"):
        Change().fit([problem])


def test_a_sharp_sensor_of_other_pixels_is_refused():
    problem = series((0.0, 10.0), (0,))
    view = Degradation.of(problem.target.shape, dates=[0], kernel=box_kernel(2), ratio=2)
    blunt = Observation(view(problem.truth), torch.ones(1, 1, 1, 1, dtype=torch.bool), view)
    with pytest.raises(ProblemError, match="2 times as large"):
        Change().fit([problem.question().with_observations({"sharp": blunt})])


@pytest.mark.parametrize("role", ["sharp", "dense"])
def test_a_sensor_without_a_valid_pixel_is_refused(role):
    with pytest.raises(ProblemError, match="both have valid pixels"):
        fused(gap(series((0.0, 10.0), (0,)), role, ...))


def test_what_is_learned_comes_from_all_tiles():
    first, second = series((0.0, 10.0), (0,)), series((0.0, 10.0), (0,), seed=1)
    method = Change().fit([first.question(), second.question()])
    expected = (first.truth[0].mean() + second.truth[0].mean()) / 2
    np.testing.assert_allclose(float(method.state["own.level"]), float(expected), rtol=1e-6)
