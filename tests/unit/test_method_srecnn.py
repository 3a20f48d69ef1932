"""srecnn: what a multispectral patch tells of the spectrum, at every date that the sharp sensor saw."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pairscenes import changed, pair_problem

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.learning.bandnet import BandNet
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.srecnn import SRECNN
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.resample import upsample

GIVEN = {"psf": "given"}


def fitted(problem, **settings):
    return SRECNN.example(**{**GIVEN, **settings}).fit([problem.question()])


def rmse(answer, problem, dates=slice(None)):
    return float((answer.full() - problem.truth)[dates].square().mean().sqrt())


@pytest.fixture(scope="module")
def series():
    """The hyperspectral sensor saw dates 0, 3 and 4; the sharp one 0, 1 and 4."""
    return pair_problem(days=(0.0, 10.0, 20.0, 32.0, 40.0), rich_dates=(0, 3, 4), sharp_dates=(0, 1, 4))


@pytest.fixture(scope="module")
def method(series):
    return fitted(series)


def test_it_is_the_plain_network_between_plain_components(series, method):
    """numpy once more: scale, three convolutions, expand."""
    state = {name: tensor.double().numpy() for name, tensor in method.state.items()}
    image = series.sharp.data[1].double().numpy()
    x = (image - state["units.mean"][:, None, None]) / state["units.spread"][:, None, None]
    net = BandNet(4, 16, 8, len(state["subspace.basis"])).double()
    net.load_state_dict(
        {n.removeprefix("net."): t.double() for n, t in method.state.items() if n.startswith("net.")}
    )
    scores = net(torch.from_numpy(x)[None])[0].detach().numpy()
    wanted = np.einsum("kb,kyx->byx", state["subspace.basis"], scores)
    wanted += state["subspace.mean"][:, None, None]
    np.testing.assert_allclose(method.fuse(series.question()).full()[1].numpy(), wanted, atol=1e-5)


def test_a_silent_network_says_the_mean_spectrum():
    problem = pair_problem()
    method = fitted(problem, steps=0)
    silent = {n: torch.zeros_like(t) if n.startswith("net.") else t for n, t in method.state.items()}
    answer = method.with_state(silent).fuse(problem.question()).full()
    inner = problem.rich.data[0, :, 1:-1, 1:-1].mean((1, 2))
    torch.testing.assert_close(answer[0], inner[:, None, None].expand_as(answer[0]), atol=1e-5, rtol=0)


def test_the_components_are_those_of_the_hyperspectral_pixels():
    problem = pair_problem()
    method = fitted(problem, share=0.98, steps=0)
    pixels = problem.rich.data[0, :, 1:-1, 1:-1].flatten(1).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    shares = np.cumsum(values[::-1]) / values.sum()
    kept = int((shares < 0.98).sum()) + 1
    basis = method.state["subspace.basis"].double().numpy()
    assert len(basis) == kept
    top = vectors[:, ::-1][:, :kept]
    np.testing.assert_allclose(basis.T @ basis, (top * values[::-1][:kept]) @ top.T, atol=1e-6)


def test_it_is_taught_what_was_measured_through_the_point_spread_function():
    """The image is averaged over each hyperspectral pixel, not sampled and not merely blurred."""
    problem = pair_problem(kernel=box_kernel(3))
    seen = []

    class Curious(SRECNN):
        def _taught(self, pairings, tick):
            seen.extend(pairings)
            return super()._taught(pairings, tick)

    Curious.example(steps=0, **GIVEN).fit([problem.question()])
    blocks = problem.sharp.data[0].unfold(1, 3, 3).unfold(2, 3, 3).mean((3, 4))
    torch.testing.assert_close(seen[0].image, blocks)
    assert torch.equal(seen[0].wanted, problem.rich.data[0])


def test_dates_that_the_sharp_sensor_saw_are_answered_from_it_alone(series, method):
    asked = series.question()
    other = changed(asked, rich=lambda seen: replace(seen, data=seen.data * 1.7 + 0.1))
    ours, theirs = (method.fuse(each).full() for each in (asked, other))
    assert torch.equal(ours[[0, 1, 4]], theirs[[0, 1, 4]])
    assert not torch.equal(ours[3], theirs[3])


def test_a_date_that_the_hyperspectral_sensor_alone_saw_is_upsampled(series, method):
    answer = method.fuse(series.question()).full()
    torch.testing.assert_close(answer[3], upsample(series.rich.data[[1]], 3)[0])


def test_a_date_that_nobody_saw_is_linear_in_days(series, method):
    answer = method.fuse(series.question()).full()
    torch.testing.assert_close(answer[2], answer[1].lerp(answer[3], 10.0 / 22.0), atol=1e-5, rtol=0)


def test_the_flags_say_who_saw_what(series, method):
    flags = method.fuse(series.question()).quality
    wanted = [Quality.FUSED, Quality.FUSED, Quality.INTERPOLATED, Quality.OBSERVED, Quality.FUSED]
    assert [int(flags[t].unique()) for t in range(5)] == [int(q) for q in wanted]


def test_a_gap_is_what_the_other_sensor_saw_or_lies_between(series, method):
    valid = torch.ones(3, 1, 36, 36, dtype=torch.bool)
    valid[:2, :, 12:18, 12:18] = False
    holed = changed(series, sharp=lambda seen: replace(seen, valid=valid)).question()
    answer = method.fuse(holed)
    gap = (slice(None), slice(12, 18), slice(12, 18))
    torch.testing.assert_close(answer.full()[0][gap], upsample(series.rich.data[[0]], 3)[0][gap])
    between = answer.full()[0].lerp(answer.full()[3], 10.0 / 32.0)
    torch.testing.assert_close(answer.full()[1][gap], between[gap], atol=1e-5, rtol=0)
    assert int(answer.quality[0, 0, 14, 14]) == int(Quality.OBSERVED)
    assert int(answer.quality[1, 0, 14, 14]) == int(Quality.INTERPOLATED)


def test_a_date_that_only_the_sharp_sensor_saw_is_told_far_better_than_by_interpolation():
    problem = pair_problem(
        size=(60, 60), days=(0.0, 30.0, 60.0, 90.0), rich_dates=(0, 2, 3), sharp_dates=(0, 1, 2, 3)
    )
    answer = fitted(problem, steps=400, patience=0).fuse(problem.question())
    plain = Bicubic().fuse(problem.question())
    assert rmse(answer, problem, [1]) < 0.5 * rmse(plain, problem, [1])
    assert rmse(answer, problem, [0, 2, 3]) < 0.5 * rmse(plain, problem, [0, 2, 3])


def test_it_is_trained_until_what_is_held_back_is_flat():
    problem = pair_problem(size=(60, 60))
    method = fitted(problem, steps=3000, patience=1, batch=1, rate=0.01)
    curve = method.state["curve"]
    assert float(curve[-1, 0]) < 3000
    assert float(curve[:, 1].min()) < 0.05 * float(curve[0, 1])
    assert float(curve[-1, 1]) > 0.9 * float(curve[:-1, 1].min())


def test_a_seed_repeats_and_another_does_not(series):
    first, again, other = (fitted(series, seed=seed, steps=5).state for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["net.0.weight"], other["net.0.weight"])


def test_dates_apart_are_refused():
    problem = pair_problem(days=(0.0, 10.0), rich_dates=(0,), sharp_dates=(1,))
    with pytest.raises(ProblemError, match="'rich' and 'sharp' both saw"):
        fitted(problem)


def test_all_dates_are_learned_from_together(series):
    """Each date's hyperspectral image changes the one network."""
    base = fitted(series, steps=20).state["net.4.weight"]
    for place in (0, 2):
        data = series.rich.data.clone()
        data[place] *= 1.5
        other = changed(series, rich=lambda seen, data=data: replace(seen, data=data))
        assert not torch.equal(fitted(other, steps=20).state["net.4.weight"], base)
