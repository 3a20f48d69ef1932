"""What jointlr says of how sure it is: under clouds, far in time, where nobody saw anything, of few dates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.wald import hide
from stsfusion.learning.assurance import Assurance, Outcome, in_common
from stsfusion.learning.fading import fading
from stsfusion.learning.unrest import Unrest, extension, gaps
from stsfusion.methods.jointlr import JointLR

_HALF = 1.6449


def _answer(problem: Problem, **settings):
    method = JointLR.example(**settings).fit([problem.question()])
    return method.fuse(problem.question())


def _clouded(problem: Problem, date: int, rows: slice, cols: slice) -> Problem:
    """No role saw these fine pixels of the date; rows and columns are multiples of six."""
    lost = {}
    for role, seen in problem.observations.items():
        if date not in seen.dates:
            continue
        valid = seen.valid.expand(len(seen.dates), -1, *seen.data.shape[2:]).clone()
        own = [
            slice(*(None if s is None else s // seen.ratio for s in (a.start, a.stop))) for a in (rows, cols)
        ]
        valid[seen.dates.index(date), :, own[0], own[1]] = False
        lost[role] = replace(seen, valid=valid, data=torch.where(valid, seen.data, 0.5))
    return problem.with_observations(lost)


@pytest.fixture(scope="module")
def half():
    """Half of a date that no hyperspectral and no sharp image saw is under cloud for the dense sensor."""
    problem = tiny_problem(size=48, dates=7)
    everywhere, left = slice(None, None), slice(None, 24)
    cloudy = _clouded(problem, 3, everywhere, left)
    return problem, _answer(cloudy, hidings=3)


def test_under_clouds_it_is_less_sure_and_right_to_be(half):
    problem, answer = half
    under, beside = answer.sigma[3, :, :, :24], answer.sigma[3, :, :, 24:]
    assert float(under.mean()) > 1.5 * float(beside.mean())
    gap = (answer.full() - problem.truth).abs()[3, :, :, :24]
    assert float((gap <= _HALF * under).float().mean()) >= 0.8


def test_clouds_of_one_date_leave_the_others_as_sure_as_they_were(half):
    _, answer = half
    rest = [0, 1, 2, 4, 5, 6]
    ratio = answer.sigma[rest][..., :24].mean() / answer.sigma[rest][..., 24:].mean()
    assert 0.8 < float(ratio) < 1.25


def test_of_one_hyperspectral_date_it_is_less_sure_the_farther_a_day_lies():
    problem = tiny_problem(size=48, dates=7)
    answer = _answer(hide(problem, "rich", (2, 4, 6)))
    sizes = answer.sigma.mean((1, 2, 3))
    assert float(sizes[1]) < float(sizes[3]) < float(sizes[5])
    inside = ((answer.full() - problem.truth).abs() <= _HALF * answer.sigma).float().mean((1, 2, 3))
    assert float(inside.min()) >= 0.8


def test_ground_that_nobody_ever_saw_is_as_unsure_as_the_scene_varies():
    problem = tiny_problem(size=48)
    corner = slice(None, 12)
    for date in range(5):
        problem = _clouded(problem, date, corner, corner)
    answer = _answer(problem)
    scene = problem.truth.std((0, 2, 3))
    assert bool((answer.sigma[:, :, :12, :12].mean((0, 2, 3)) > 0.8 * scene).all())
    assert float(answer.sigma[:, :, 24:, 24:].mean()) < 0.5 * float(answer.sigma[:, :, :12, :12].mean())


@pytest.mark.parametrize(("before", "after"), [(30.0, 50.0), (0.0, 40.0), (20.0, torch.inf)])
def test_extension_is_the_variance_of_what_lies_between(before, after):
    span = 60.0
    far = torch.isinf(torch.tensor(after))
    days = torch.tensor([-before, 0.0] if far else [-before, 0.0, after])
    covariance = torch.exp(-(days[:, None] - days[None]).abs() / span)
    share = 0.0 if far else before / (before + after)
    weights = torch.tensor([-1.0, 1.0] if far else [share - 1.0, 1.0, -share])
    g = extension(torch.tensor(before), torch.tensor(after), torch.tensor(span))
    assert float(g) == pytest.approx(float(weights @ covariance @ weights), abs=1e-5)


def test_gaps_are_counted_pixel_by_pixel():
    seen = torch.tensor([[[True, False]], [[True, True]], [[False, True]]])
    before, after = gaps(seen, torch.tensor([0.0, 10.0, 30.0]), 25.0)
    assert before.tolist() == [[15.0, 15.0]]
    assert after.tolist() == [[torch.inf, 5.0]]


def test_unrest_finds_how_long_a_series_lasts_and_which_pixels_move():
    generator = torch.Generator().manual_seed(0)
    days = torch.arange(8.0) * 20.0
    root = torch.linalg.cholesky(torch.exp(-(days[:, None] - days[None]).abs() / 80.0).double()).float()
    size = torch.where(torch.arange(3000) < 1500, 0.3, 1.0)
    series = torch.einsum("ts,spn->tpn", root, torch.randn(8, 2, 3000, generator=generator)) * size
    basis = torch.tensor([[0.1, 0.0, 0.05], [0.0, 0.2, 0.05]])
    found = Unrest.learn(series, torch.ones(8, 3000, dtype=torch.bool), days, basis, torch.tensor(60.0))
    assert found is not None
    assert float(found.span) in (40.0, 80.0, 160.0)
    assert float(found.shares[1]) > float(found.shares[0])
    moved = found.shown(series, torch.ones(8, 3000, dtype=torch.bool), days)
    assert float(moved[1500:].mean()) > 3.0 * float(moved[:1500].mean())
    near, far = torch.tensor(20.0), torch.tensor(200.0)
    assert float(found(moved[:1], far, far)) > float(found(moved[:1], near, near)) > 0.0


def test_dates_that_are_all_equally_far_apart_do_not_tell_how_long_a_series_lasts():
    series = torch.randn(2, 2, 400, generator=torch.Generator().manual_seed(0))
    basis, told = torch.tensor([[0.1, 0.0], [0.0, 0.2]]), torch.ones(2, 400, dtype=torch.bool)
    found = Unrest.learn(series, told, torch.tensor([0.0, 30.0]), basis, torch.tensor(70.0))
    assert found is not None
    assert float(found.span) == 70.0
    moved = (basis.T @ (series[1] - series[0])).square().mean(1)
    near, far = torch.tensor(30.0), torch.tensor(torch.inf)
    assert torch.allclose(found.sill * found(torch.tensor(1.0), near, far), moved, rtol=1e-3)


def test_where_no_date_can_be_compared_pixels_become_what_others_of_the_scene_are():
    scores = torch.randn(2, 20000, generator=torch.Generator().manual_seed(0))
    basis = torch.tensor([[0.1, 0.0, 0.05], [0.0, 0.2, 0.05]])
    unknown = Unrest.unknown(basis, torch.tensor(60.0))
    another = basis.T @ (scores - scores[:, torch.randperm(20000)])
    near, late, far = torch.tensor(6.0), torch.tensor(6000.0), torch.tensor(torch.inf)
    one = torch.tensor(1.0)
    assert torch.allclose(unknown.sill * unknown(one, late, far), another.square().mean(1), rtol=0.05)
    assert float(unknown(one, near, far)) < 0.2 * float(unknown(one, late, far))


def _on(problem: Problem, **dates: list[int]) -> Problem:
    """Each of these roles looked on these dates; the others did not look at all."""
    seen = {role: problem.observations[role] for role in dates}
    kept = {role: seen[role].select([seen[role].dates.index(d) for d in own]) for role, own in dates.items()}
    return problem.with_observations({**dict.fromkeys(("rich", "sharp", "dense")), **kept})


@pytest.mark.parametrize("dates", [{"rich": [0], "sharp": [0]}, {"rich": [0], "sharp": [0], "dense": [0]}])
def test_of_one_common_date_it_is_less_sure_of_others_the_farther_they_lie(dates):
    problem = tiny_problem(size=48, dates=6)
    answer = _answer(_on(problem, **dates))
    assert bool((answer.sigma.mean((1, 2, 3)).diff() > 0).all())
    inside = ((answer.full() - problem.truth).abs() <= _HALF * answer.sigma).float().mean((1, 2, 3))
    assert float(inside.min()) >= 0.8


def test_hyperspectral_dates_show_how_far_pixels_move_where_the_dense_sensor_saw_one():
    problem = tiny_problem(size=48, dates=7)
    question = _on(problem, rich=[0, 2, 4, 6], sharp=[0], dense=[0]).question()
    state = JointLR.example(hidings=4).fit([question]).state
    assert float(state["unrest.shares"][1]) > 0.0
    assert float(state["unrest.span"]) != float(state["carried.days"])


def test_a_regression_fades_from_a_date_that_the_guide_shows_and_from_no_other():
    problem = tiny_problem(size=48, dates=6)
    shown = _on(problem, rich=[0], sharp=[0], dense=[1, 3, 5])
    hidden = _on(problem, rich=[0], sharp=[2], dense=[1, 3, 5])
    fadings = [float(JointLR.example().fit([p.question()]).state["unrest.fading"]) for p in (shown, hidden)]
    assert fadings[0] > 0.0
    assert fadings[1] == 0.0


def test_relations_that_hold_on_all_dates_do_not_fade_and_others_do():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 2, 800, generator=generator)
    noise = 0.05 * torch.randn(3, 800, generator=generator)
    lasting = torch.cat([inputs, (inputs.sum(1) + noise)[:, None]], 1)
    turned = lasting.clone()
    turned[2, 2] = inputs[2, 0] - inputs[2, 1]
    how = (8, 0.01, 0)
    assert float(fading(lasting, torch.full((3,), 0.05), 0, how).max()) < 5.0
    assert float(fading(turned, torch.full((3,), 0.05), 0, how)[2]) > 20.0


def test_bands_that_hold_together_do_not_hide_that_another_relation_fails():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 1, 800, generator=generator)
    noise = 0.05 * torch.randn(3, 1, 800, generator=generator)
    unlike = second.clone()
    unlike[2] += 0.4 * torch.randn(1, 800, generator=generator)
    failing = torch.cat([second, unlike + noise], 1)
    both = torch.cat([first, first + noise, failing], 1)
    how = (8, 0.01, 0)
    alone, among = (fading(b, torch.full((b.shape[1],), 0.05), 0, how)[2] for b in (failing, both))
    assert float(alone) > 20.0
    assert float(among) > 0.8 * float(alone)


def test_few_dates_that_err_as_one_make_wider_intervals_than_many():
    generator = torch.Generator().manual_seed(0)

    def level(dates: int, common: float) -> float:
        signs = torch.stack([torch.ones(400), torch.rand(400), torch.rand(400)])
        one = Outcome(
            torch.randn(1, 400, generator=generator),
            torch.ones(1, 400),
            signs,
            torch.zeros(1),
            torch.full((1,), common),
        )
        none = torch.full((1,), 1e-6)
        return float(Assurance.learn([one] * dates, none, none).level)

    assert level(2, 0.9) > level(8, 0.9) > level(40, 0.9)
    assert level(2, 0.9) > level(2, 0.0)


def test_what_pixels_err_in_common_is_told_from_what_each_errs_alone():
    generator = torch.Generator().manual_seed(0)
    looks = torch.randn(2, 4000, generator=generator)
    alone = torch.randn(1, 4000, generator=generator)
    shares = in_common(torch.cat([looks[:1] + 1.0, alone]), looks)
    assert float(shares[0]) > 0.99
    assert float(shares[1]) < 0.01


def test_without_a_hyperspectral_sensor_it_says_pixel_by_pixel_where_it_errs():
    problem = tiny_problem(size=48, dates=7, multispectral=True)
    answer = _answer(_clouded(problem, 3, slice(None, None), slice(None, 24)))
    gap = (answer.full() - problem.truth).abs()
    for date in (1, 3, 5):
        assert float((gap[date] <= _HALF * answer.sigma[date]).float().mean()) >= 0.75
    assert float(answer.sigma[3, :, :, :24].mean()) > 1.2 * float(answer.sigma[3, :, :, 24:].mean())
    pair = torch.stack([gap[[1, 5]].mean(1).flatten(), answer.sigma[[1, 5]].mean(1).flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.1


def test_bands_that_no_sensor_saw_are_not_said_to_be_as_sure_as_those_seen():
    problem = tiny_problem(size=48, roles=("sharp", "dense"))
    answer = _answer(problem)
    (sharp,) = problem.require("sharp")
    assert sharp.noise is None or float(answer.sigma[0].mean()) > 2.0 * float(sharp.noise.mean())
    gap = (answer.full() - problem.truth)[0].square().mean().sqrt()
    assert 0.3 * float(gap) < float(answer.sigma[0].square().mean().sqrt()) < 5.0 * float(gap)
