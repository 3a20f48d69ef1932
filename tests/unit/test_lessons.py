"""Ways of asking: what is hidden, what is kept, and what the labels are."""

import torch

from stsfusion.fusion.wald import hide
from stsfusion.learning.lessons import exercises
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


def asked(problems, most=5):
    return {(e.shifted, e.hidden): e for e in exercises(problems, most)}


def test_single_dates_and_inner_pairs_are_hidden_at_both_scales():
    found = asked([tiny_problem(dates=7).question()])
    hidden = [(), (2,), (4,), (0,), (6,), (2, 4)]
    assert list(found) == [(False, h) for h in hidden] + [(True, h) for h in hidden]


def test_inner_dates_come_first_when_only_some_are_asked():
    found = asked([tiny_problem(dates=13).question()], most=3)
    assert [h for shifted, h in found if not shifted] == [(), (2,), (6,), (10,)]


def test_what_was_hidden_is_not_shown_but_is_a_label():
    problem = tiny_problem().question()
    exercise = asked([problem])[False, (2,)]
    (shown,), (labels,) = exercise.problems, exercise.labels
    assert shown.rich.dates == shown.sharp.dates == [0, 4]
    assert shown.dense.dates == [0, 1, 2, 3, 4]
    assert labels["rich"].dates == labels["sharp"].dates == [0, 2, 4]
    assert exercise.lies_between()


def test_the_sharp_image_stays_where_missing_dates_have_one_too():
    problem = tiny_problem().question()
    fewer = hide(problem, "rich", [2])
    exercise = asked([fewer])[False, (4,)]
    assert exercise.problems[0].sharp.dates == [0, 2, 4]


def test_one_scale_coarser_the_rich_image_itself_is_the_label():
    problem = tiny_problem().question()
    exercise = asked([problem])[True, ()]
    (shown,), (labels,) = exercise.problems, exercise.labels
    assert shown.target.shape[2:] == (12, 12)
    assert shown.rich.data.shape[2:] == (4, 4)
    torch.testing.assert_close(labels["rich"].data, problem.rich.data[:, :, :12, :12])
    assert labels["rich"].view.ratio == 1


def test_tiles_take_turns_where_dates_are_hidden():
    big = tiny_problem(size=96)
    tiles = [big.crop(Window((0, 5), (r, r + 48), (c, c + 48))) for r in (0, 48) for c in (0, 48)]
    found = asked([t.question() for t in tiles])
    sizes = {hidden: len(e.problems) for (shifted, hidden), e in found.items() if not shifted}
    assert sizes == {(): 4, (2,): 2, (0,): 1, (4,): 1}


def test_one_date_is_never_hidden():
    assert list(asked([tiny_problem(dates=1).question()])) == [(False, ()), (True, ())]


def test_two_dates_are_hidden_one_at_a_time():
    found = asked([tiny_problem(dates=3).question()])
    assert [h for shifted, h in found if not shifted] == [(), (0,), (2,)]
    assert not found[False, (0,)].lies_between()
