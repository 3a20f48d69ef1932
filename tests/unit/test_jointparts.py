"""Parts of joint estimation: guide, pointing, radiometry, panel, innovation, origin, resolved change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.fusion.wald import hide
from stsfusion.learning.changes import Seen
from stsfusion.learning.guide import Guide, Stack
from stsfusion.learning.innovation import Innovation
from stsfusion.learning.origin import origin
from stsfusion.learning.panel import Carried, carry
from stsfusion.learning.pointing import pointing
from stsfusion.learning.radiometry import Series, gains
from stsfusion.learning.resolved import Resolved, smooth, suits
from stsfusion.learning.sighting import displaced
from stsfusion.learning.smoothspectra import expansion
from stsfusion.learning.subspace import Subspace
from stsfusion.methods.jointlr import JointLR
from stsfusion.operators.blur import Blur, gaussian_kernel, identity_kernel
from stsfusion.operators.degradation import Degradation


def _images(count: int, size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, size, size, generator=generator)
    return Blur(gaussian_kernel(3, 1), 1, (1, count, size, size))(noise[None])[0]


def test_gaps_of_the_guide_are_conditional_means():
    mixing = torch.randn(6, 2, generator=torch.Generator().manual_seed(3))
    values = torch.einsum("cm,myx->cyx", mixing, _images(2, 24))
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[0, 4:8, 4:8] = False
    stack = Stack(torch.where(valid, values, 7.0), valid)
    guide = Guide.learn([stack], torch.full((6,), 0.01), 4)
    full = guide.completed(stack)
    own = guide.covariance.double()[1:, 1:] + torch.eye(5).double()
    told = torch.linalg.solve(own, guide.covariance.double()[1:, 0])
    assert torch.allclose(full[0, 5, 5].double(), told @ full[1:, 5, 5].double(), rtol=1e-4)
    wanted = (values[0] - guide.mean[0]) / guide.noise[0]
    assert float((full[0] - wanted)[4:8, 4:8].abs().mean()) < 0.1 * float(wanted.abs().mean())


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.25)])
def test_displacements_are_found_and_none_is_made_up(shift):
    guide = 10.0 * _images(3, 60)
    weights = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    image = torch.einsum("bq,qyx->byx", weights, guide)
    kernel = displaced(gaussian_kernel(2, 2).double(), shift)
    seen = Blur(kernel, 2, (1, 2, 60, 60))(image[None])
    seen = seen + 0.05 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(2))
    clear = torch.ones(1, 30, 30, dtype=torch.bool)
    (found,) = pointing([(guide, Seen(seen, clear, [gaussian_kernel(2, 2)], 2))], 1.0)
    assert torch.allclose(found, torch.tensor(shift), atol=0.03)


def test_known_gains_are_kept_and_others_come_closer():
    generator = torch.Generator().manual_seed(0)
    days = torch.arange(7.0) * 20.0
    level = 0.1 + 0.3 * torch.rand(1, 4, 600, generator=generator)
    season = 0.05 * torch.randn(7, 1, 600, generator=generator).cumsum(0) * (torch.rand(600) > 0.3)
    true = 1.0 + 0.04 * torch.randn(7, 4, generator=generator)
    values = (level + season) * true[:, :, None] + 0.002 * torch.randn(7, 4, 600, generator=generator)
    series = Series(days, values, torch.full((4,), 0.002))
    found = gains(series, {date: true[date] for date in (0, 2, 4, 6)})
    assert torch.equal(found[[0, 2, 4, 6]], true[[0, 2, 4, 6]])
    hidden = [1, 3, 5]
    assert float((found - true)[hidden].square().mean()) < 0.3 * float((true - 1)[hidden].square().mean())
    small = {date: torch.ones(4) + 1e-3 for date in (0, 2, 4, 6)}
    assert torch.equal(gains(series, small), torch.ones(7, 4))


def test_what_is_kept_is_kriged_in_time():
    generator = torch.Generator().manual_seed(0)
    kept = torch.randn(3, 2, 1, 1, generator=generator)
    bands = torch.randn(3, 2, 1, 1, generator=generator)
    own = torch.randn(2, 1, 1, generator=generator)
    days = torch.tensor([0.0, 30.0, 80.0])
    how = Carried(torch.tensor(50.0), torch.tensor(2.0), torch.tensor(0.2), torch.ones(2), torch.tensor(1.0))
    doubt = torch.tensor([0.1, 0.0, 0.3])[:, None, None]
    values, left = carry(kept, doubt, (days, bands), (torch.tensor(50.0), own), how)

    def alike(t, u, a, b):
        return torch.exp(-(t - u).abs() / 50.0) * torch.exp(-0.5 * (a - b).square().sum() / 4.0)

    pairs = list(zip(days, bands, strict=True))
    system = torch.stack([torch.stack([alike(t, u, a, b) for u, b in pairs]) for t, a in pairs])
    system = system + torch.diag(0.2 + doubt.flatten())
    mixed = torch.stack([alike(t, torch.tensor(50.0), a, own) for t, a in pairs])
    weights = torch.linalg.solve(system, mixed)
    assert torch.allclose(values.flatten(), torch.einsum("n,np->p", weights, kept.flatten(1)), atol=1e-5)
    assert float(left) == pytest.approx(1.2 - float(weights @ mixed), abs=1e-5)
    again, none = carry(kept, torch.zeros(3, 1, 1), (days, bands), (days[1], bands[1]), how)
    assert torch.allclose(again, kept[1], atol=1e-4)
    assert float(none) < 1e-4


def test_innovation_is_the_kalman_update():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(500, 3, generator=generator) @ torch.rand(3, 12, generator=generator)
    subspace = Subspace.learn([pixels + 0.01 * torch.randn(500, 12, generator=generator)], rank=4)
    root = torch.randn(4, 4, generator=generator).double()
    covariance = root @ root.T
    response = torch.rand(2, 12, generator=generator)
    response = response / response.sum(1, keepdim=True)
    noise = torch.tensor([0.01, 0.02])
    update = Innovation.learn(covariance, response, noise, subspace)
    scores, bands = torch.randn(4, 1, 1, generator=generator), torch.rand(2, 1, 1, generator=generator)
    held, surprise = update(scores, bands, torch.full((1, 1), 0.5))
    seen = (response @ subspace.basis.T).double()
    gap = bands.flatten().double() - seen @ scores.flatten().double() - (response @ subspace.mean).double()
    spread = 0.5 * seen @ covariance @ seen.T + torch.diag(noise.double().square())
    wanted = scores.flatten().double() + 0.5 * covariance @ seen.T @ torch.linalg.solve(spread, gap)
    assert torch.allclose(held.flatten().double(), wanted, rtol=1e-3, atol=1e-4)
    assert float(surprise) == pytest.approx(float(gap @ torch.linalg.solve(spread, gap)) / 2, rel=1e-3)


def test_origin_says_what_was_seen():
    problem = tiny_problem(dates=5).question()
    lost = replace(problem, dense=problem.dense.select([1, 2, 3]))  # type: ignore[union-attr]
    lost = hide(hide(lost, "rich", (0, 4)), "sharp", (0, 4))
    values = [int(q.unique()) for q in origin(lost)]
    away, fused, here = int(Quality.EXTRAPOLATED), int(Quality.FUSED), int(Quality.OBSERVED)
    assert values == [away, fused, here, fused, away]


def test_bands_that_no_sensor_has_are_not_observed():
    problem = replace(tiny_problem(dates=3).question(), rich=None, dense=None)
    fused, between = int(Quality.FUSED), int(Quality.INTERPOLATED)
    assert [int(q.unique()) for q in origin(problem)] == [fused, between, fused]
    own = replace(tiny_problem(dates=3, multispectral=True).question(), dense=None)
    assert int(origin(own)[0].unique()) == int(Quality.OBSERVED)


def test_expansion_keeps_the_target_s_own_bands_and_flat_spectra():
    nm = torch.linspace(400, 900, 20, dtype=torch.float64)
    assert torch.equal(expansion(torch.eye(20), nm), torch.eye(20))
    response = torch.rand(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    response = response / response.sum(1, keepdim=True)
    assert torch.allclose(expansion(response, nm).sum(1), torch.ones(20), atol=1e-4)


def _resampled() -> Problem:
    """A spatio-temporal question whose coarse images were brought to the fine grid; they change at will."""
    problem = tiny_problem(size=48, dates=3, multispectral=True)
    assert problem.truth is not None
    shape, generator = problem.target.shape, torch.Generator().manual_seed(0)
    change = 8.0 * Blur(gaussian_kernel(20, 1), 1, shape)(0.1 * torch.randn(shape, generator=generator))
    truth = problem.truth + change
    wide = Blur(gaussian_kernel(9, 1), 1, shape)(truth)
    noise = 0.01 * torch.randn(shape, generator=generator)
    view = Degradation.of(shape, kernel=identity_kernel(), known=False)
    mask = torch.ones(shape[0], 1, *shape[2:], dtype=torch.bool)
    (sharp,) = problem.require("sharp")
    fine = replace(sharp, data=truth[sharp.dates])
    seen = problem.with_observations({"sharp": fine, "dense": Observation(wide + noise, mask, view)})
    return replace(seen, truth=truth)


def test_images_on_the_fine_grid_are_used_for_what_they_resolve():
    problem = _resampled()
    assert suits(problem.question())
    learned = Resolved.learn([problem.question()])
    assert float(learned.width) > 0
    image = learned(problem.question(), float(problem.target.days[1]))
    assert image is not None
    assert problem.truth is not None
    sharp, dense = problem.require("sharp", "dense")
    line = 0.5 * (sharp.data[0] + sharp.data[1])
    delta = line + dense.data[1] - 0.5 * (dense.data[0] + dense.data[2])
    errors = [float((x - problem.truth[1]).square().mean().sqrt()) for x in (image, line, delta)]
    assert errors[0] < min(errors[1:]), errors


def _unseen(problem: Problem, role: Role, where: tuple[slice, ...]) -> Problem:
    """The same without these (time, y, x) pixels of a role."""
    seen = problem.observations[role]
    valid = seen.valid.expand(len(seen.dates), 1, *seen.data.shape[2:]).clone()
    valid[where[0], :, where[1], where[2]] = False
    data = torch.where(valid, seen.data, 0.0)
    return problem.with_observations({role: replace(seen, data=data, valid=valid)})


_EVER, _CORNER = slice(None), slice(0, 16)


def test_ground_that_no_sharp_image_shows_is_the_dense_series_and_said_to_be_filled():
    problem = _unseen(_resampled(), "sharp", (_EVER, _CORNER, _CORNER))
    answer = JointLR.example().fit([problem.question()]).fuse(problem.question())
    (dense,) = problem.require("dense")
    assert torch.allclose(answer.full()[:, :, :14, :14], dense.data[:, :, :14, :14], atol=1e-6)
    assert answer.quality[:, :, _CORNER, _CORNER].unique().tolist() == [int(Quality.FILLED)]
    fused, observed = int(Quality.FUSED), int(Quality.OBSERVED)
    assert answer.quality[:, :, 16:].unique().tolist() == [observed, fused]
    assert bool(torch.isfinite(answer.full()).all())


def test_ground_that_no_image_shows_is_the_mean_of_the_sharp_ones():
    problem = _unseen(_resampled(), "sharp", (_EVER, _CORNER, _CORNER))
    problem = _unseen(problem, "dense", (_EVER, _CORNER, _CORNER))
    answer = JointLR.example().fit([problem.question()]).fuse(problem.question())
    (sharp,) = problem.require("sharp")
    mean = sharp.data[:, :, 16:].mean((0, 2, 3))
    assert torch.allclose(answer.full()[1, :, 3, 3], mean, atol=0.05)
    assert int(answer.quality[1, 0, 3, 3]) == int(Quality.FILLED)


def test_a_sharp_date_that_is_all_cloud_hides_nothing_and_is_made_from_the_others():
    problem = _unseen(_resampled(), "sharp", (slice(0, 1), _EVER, _EVER))
    learned = Resolved.learn([problem.question()])
    assert all(bool(torch.isfinite(tensor).all()) for tensor in learned.tensors().values())
    answer = JointLR.example().fit([problem.question()]).fuse(problem.question())
    assert bool(torch.isfinite(answer.full()).all())
    assert int(answer.quality[0].unique()) == int(Quality.FUSED)


def test_smooth_looks_at_valid_pixels_alone():
    image = _images(1, 30)
    valid = torch.ones(30, 30, dtype=torch.bool)
    valid[10:14, 10:14] = False
    wild = torch.where(valid, image, 1e6)
    assert torch.allclose(smooth(wild, valid, 2.0), smooth(image * valid, valid, 2.0), atol=1e-4)
    assert torch.allclose(smooth(torch.ones(1, 30, 30), valid, 3.0), torch.ones(1, 30, 30), atol=1e-5)
