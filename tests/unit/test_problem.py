"""The question: cut by hand or by crop it is the same; what is inconsistent is refused at the border."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import ROLES, Observation, Problem, Target
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.mix import Mix
from stsfusion.testing import tiny_problem
from stsfusion.window import Window

DAYS, ROWS, COLS = (1, 4), (12, 36), (6, 48)
WINDOW = Window(DAYS, ROWS, COLS)


@pytest.fixture(scope="module")
def problem():
    return tiny_problem(gaps=True)


def by_hand(array, ratio, keep):
    """Rows and columns of the window on a grid `ratio` times as coarse, and these dates."""
    return array[keep][:, :, ROWS[0] // ratio : ROWS[1] // ratio, COLS[0] // ratio : COLS[1] // ratio]


@pytest.mark.parametrize(
    ("role", "ratio", "keep", "dates"),
    [("rich", 3, [1], [1]), ("sharp", 1, [1], [1]), ("dense", 2, [1, 2, 3], [0, 1, 2])],
)
def test_a_crop_is_what_cutting_by_hand_gives(problem, role, ratio, keep, dates):
    whole, part = problem.observations[role], problem.crop(WINDOW).observations[role]
    assert torch.equal(part.data, by_hand(whole.data, ratio, keep))
    assert torch.equal(part.valid, by_hand(whole.valid, ratio, keep))
    assert part.dates == dates
    assert part.ratio == ratio
    assert torch.equal(part.noise, whole.noise)


def test_a_crop_cuts_target_and_truth_and_counts_days_as_the_whole_does(problem):
    part = problem.crop(WINDOW)
    assert part.target.shape == (3, 20, 24, 42)
    assert part.target.days.tolist() == [16.0, 32.0, 48.0]
    assert torch.equal(part.target.wavelengths, problem.target.wavelengths)
    assert torch.equal(part.truth, problem.truth[1:4, :, 12:36, 6:48])


@pytest.mark.parametrize("role", ROLES)
def test_the_cropped_view_sees_the_cropped_target_alike(problem, role):
    """Inside the point spread function's reach nothing changes."""
    whole, part = problem.observations[role], problem.crop(WINDOW).observations[role]
    keep = [i for i, date in enumerate(whole.dates) if DAYS[0] <= date < DAYS[1]]
    expected = by_hand(whole.view(problem.truth), whole.ratio, keep)
    got = part.view(problem.crop(WINDOW).truth)
    rim = -(-whole.view.spatial.reach // whole.ratio)
    inner = (..., slice(rim, got.shape[2] - rim), slice(rim, got.shape[3] - rim))
    torch.testing.assert_close(got[inner], expected[inner])


def test_gaps_stay_gaps(problem):
    cut = problem.crop(Window((0, 5), (0, 48), (0, 48)))
    for role, whole in problem.observations.items():
        assert not whole.valid.all()
        assert torch.equal(cut.observations[role].valid, whole.valid)


def test_a_mask_for_all_dates_and_pixels_is_cut_too(problem):
    everywhere = replace(problem.rich, valid=torch.ones(1, 1, 1, 1, dtype=torch.bool))
    part = problem.with_observations({"rich": everywhere}).crop(WINDOW)
    assert part.rich.valid.shape == (1, 1, 8, 14)


def test_a_role_that_saw_none_of_the_dates_is_absent(problem):
    part = problem.crop(Window((1, 2), (0, 48), (0, 48)))
    assert list(part.observations) == ["dense"]


def test_select_keeps_chosen_dates_and_all_that_is_known_of_the_optics(problem):
    view = problem.rich.view
    blind = replace(
        view,
        spectral=replace(view.spectral, known=False),
        spatial=replace(view.spatial, known=False, phase=(1, -1)),
    )
    chosen = replace(problem.rich, view=blind).select([0, 2])
    assert chosen.dates == [0, 4]
    assert torch.equal(chosen.data, problem.rich.data[[0, 2]])
    assert torch.equal(chosen.valid, problem.rich.valid[[0, 2]])
    assert (chosen.view.spectral.known, chosen.view.spatial.known) == (False, False)
    assert chosen.view.spatial.phase == (1, -1)
    assert chosen.view.in_shape == problem.target.shape
    torch.testing.assert_close(chosen.view(problem.truth), blind(problem.truth)[[0, 2]])


@pytest.mark.parametrize("role", ROLES)
def test_dates_given_in_any_order_are_held_rising(problem, role):
    """Data, masks and view turn together, as they were given by hand."""
    whole = problem.observations[role]
    order = [*range(1, len(whole.dates)), 0]
    turned = Degradation(
        Mix(whole.view.temporal.matrix[order], "time", problem.target.shape),
        whole.view.spectral,
        replace(whole.view.spatial, known=False),
    )
    given = Observation(whole.data[order], whole.valid[order], turned, whole.noise)
    assert given.dates == whole.dates
    assert torch.equal(given.data, whole.data)
    assert torch.equal(given.valid, whole.valid)
    assert torch.equal(given.noise, whole.noise)
    assert not given.view.spatial.known
    torch.testing.assert_close(given.view(problem.truth), whole.view(problem.truth), rtol=0, atol=0)


def test_one_mask_for_dates_in_any_order_stays_one(problem):
    everywhere = replace(problem.rich, valid=torch.ones(1, 1, 1, 1, dtype=torch.bool))
    turned = everywhere.select([2, 0, 1])
    assert turned.dates == [0, 2, 4]
    assert turned.valid.shape == (1, 1, 1, 1)
    assert torch.equal(turned.data, problem.rich.data)


def test_dates_that_rise_are_not_copied(problem):
    dense = problem.dense
    assert Observation(dense.data, dense.valid, dense.view).data.data_ptr() == dense.data.data_ptr()


def test_a_view_that_mixes_dates_is_left_as_it_is(problem):
    shape = problem.target.shape
    view = Degradation.of(shape, dates=Mix(torch.full((2, 5), 0.2), "time", shape))
    data = view(problem.truth)
    assert torch.equal(Observation(data, torch.ones(1, 1, 1, 1, dtype=torch.bool), view).data, data)


def test_the_question_has_no_truth(problem):
    assert problem.truth is not None
    question = problem.question()
    assert question.truth is None
    assert question.crop(WINDOW).truth is None
    assert question.observations == problem.observations


def test_the_truth_is_not_printed(problem):
    assert "truth" not in repr(problem)


def test_require_gives_the_observations_in_the_order_asked(problem):
    assert problem.require("dense", "rich") == (problem.dense, problem.rich)


def test_require_names_what_is_missing_and_for_whom():
    problem = tiny_problem(roles=("rich", "dense"))
    with pytest.raises(ProblemError, match=r"method 'gsa'.*rich, sharp, got rich, dense\.\n.*'sharp'"):
        problem.require("rich", "sharp", by="gsa")
    with pytest.raises(ProblemError, match="got none"):
        Problem(problem.target).require("rich")


def test_replacing_a_role_leaves_the_others(problem):
    without = problem.with_observations({"sharp": None})
    assert list(without.observations) == ["rich", "dense"]
    assert without.rich is problem.rich
    assert without.truth is problem.truth


def test_moving_changes_nothing_but_the_place(problem):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    there = problem.to(device)
    for role, observation in problem.observations.items():
        moved = there.observations[role]
        assert {t.device.type for t in (moved.data, moved.valid, moved.noise, there.truth)} == {device}
        assert torch.equal(moved.data.cpu(), observation.data)


# ---------------------------------------------------------------- what is refused


def view_of(shape=(2, 3, 6, 6)):
    return Degradation.of(shape, kernel=box_kernel(3), ratio=3)


def seen(**changes):
    whole = {
        "data": torch.zeros(2, 3, 2, 2),
        "valid": torch.ones(2, 1, 2, 2, dtype=torch.bool),
        "view": view_of(),
    }
    return Observation(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": torch.zeros(2, 3, 2, 3)}, r"data: expected shape \(2, 3, 2, 2\), as its view gives"),
        (
            {"data": torch.full((2, 3, 2, 2), torch.nan)},
            r"data: .*got NaN.*\n.*mark them in `valid`",
        ),
        ({"data": torch.full((2, 3, 2, 2), torch.inf)}, "data: expected finite numbers"),
        ({"valid": torch.ones(2, 1, 3, 3, dtype=torch.bool)}, r"valid: .*broadcasts to \(2, 3, 2, 2\)"),
        ({"valid": torch.ones(3, 1, 2, 2, dtype=torch.bool)}, r"valid: .*broadcasts to \(2, 3, 2, 2\)"),
        ({"valid": torch.ones(2, 2, dtype=torch.bool)}, r"valid: expected a bool mask"),
        ({"valid": torch.ones(2, 1, 2, 2)}, r"valid: expected a bool mask .* got torch.float32"),
        ({"noise": torch.ones(2)}, r"noise: expected shape \(3,\), got \(2,\)"),
    ],
)
def test_an_inconsistent_observation_is_refused(changes, message):
    assert seen().data.shape == (2, 3, 2, 2)
    with pytest.raises(ProblemError, match=f"(?s)observation {message}"):
        seen(**changes)


@pytest.mark.parametrize(
    ("wavelengths", "days", "message"),
    [
        (torch.ones(2), torch.arange(2.0), r"wavelengths: expected shape \(3,\)"),
        (torch.ones(3), torch.arange(3.0), r"days: expected shape \(2,\)"),
        (torch.ones(3), torch.tensor([0.0, 0.0]), r"days that rise, got \[0.0, 0.0\].\nSort"),
    ],
)
def test_an_inconsistent_target_is_refused(wavelengths, days, message):
    with pytest.raises(ProblemError, match=message):
        Target((2, 3, 6, 6), wavelengths, days)


def test_views_and_truth_must_be_the_targets():
    target = Target((2, 3, 6, 12), torch.ones(3), torch.arange(2.0))
    with pytest.raises(ProblemError, match=r"role 'rich': expected a view of the target's \(2, 3, 6, 12\)"):
        Problem(target, rich=seen())
    with pytest.raises(ProblemError, match=r"truth: expected shape \(2, 3, 6, 12\)"):
        Problem(target, truth=torch.zeros(2, 3, 6, 6))


def test_dates_that_are_mixed_cannot_be_told():
    half = Mix(torch.full((1, 2), 0.5), "time", (2, 3, 6, 6))
    view = Degradation.of((2, 3, 6, 6), dates=half, kernel=gaussian_kernel(3, 3), ratio=3)
    mixed = Observation(torch.zeros(1, 3, 2, 2), torch.ones(1, 1, 1, 1, dtype=torch.bool), view)
    with pytest.raises(ProblemError, match="rows that choose one date"):
        _ = mixed.dates
