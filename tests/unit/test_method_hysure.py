"""hysure against a primal-dual iteration in numpy, written from the function that it minimises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.methods.hysure import HySure
from stsfusion.operators.blur import box_kernel
from stsfusion.testing import fuse_tiled, tiny_problem

RATIO = 2


def scene(noise=0.01, bands=8, size=24):
    """A small problem of one date under a box."""
    problem = tiny_problem(size=size, bands=bands, dates=1, ratios=(RATIO, 2))
    blur = replace(problem.rich.view.spatial, kernel=box_kernel(RATIO))
    rich = replace(problem.rich, view=replace(problem.rich.view, spatial=blur), noise=None)
    generator = torch.Generator().manual_seed(0)
    made = {}
    for role, one in (("rich", rich), ("sharp", replace(problem.sharp, noise=None))):
        clean = one.view(problem.truth)
        made[role] = replace(one, data=clean + noise * torch.randn(clean.shape, generator=generator))
    return problem.with_observations(made)


def steps_up_and_left(u):
    return np.stack([u - np.roll(u, 1, 1), u - np.roll(u, 1, 2)])


def primal_dual(problem, method, steps=1500):
    """(L, H, W) by Condat's iteration on the scene, taken to repeat itself beyond its edges."""
    state = method.state
    basis, response = (state[f"0.{n}"].double().numpy() for n in ("basis", "model.response"))
    level = float(state["0.level"])
    z, y = (one.data[0].double().numpy() / level for one in (problem.rich, problem.sharp))
    seen = response @ basis
    u = np.zeros((basis.shape[1], *y.shape[1:]))
    dual = steps_up_and_left(u)
    stiff = np.linalg.norm(basis, 2) ** 2 / RATIO**2 + np.linalg.norm(seen, 2) ** 2
    sigma = 1.0
    tau = 0.99 / (stiff / 2 + 8 * sigma)
    for _ in range(steps):
        coarse = np.tensordot(basis, blurred(u, np.full((2, 2), 0.25), RATIO), 1) - z
        pulled = np.tensordot(basis.T, coarse, 1).repeat(RATIO, 1).repeat(RATIO, 2) / RATIO**2
        pulled += np.tensordot(seen.T, np.tensordot(seen, u, 1) - y, 1)
        pulled += dual[0] - np.roll(dual[0], -1, 1) + dual[1] - np.roll(dual[1], -1, 2)
        after = u - tau * pulled
        pushed = dual + sigma * steps_up_and_left(2 * after - u)
        dual = pushed / np.maximum(1.0, np.sqrt((pushed**2).sum((0, 1))) / method.variation)
        u = after
    return level * np.tensordot(basis, u, 1)


@pytest.fixture(scope="module")
def solved():
    problem = scene().question()
    method = HySure(psf="given", rank=3, basis="components", variation=2e-3, steps=400).fit([problem])
    return problem, method, primal_dual(problem, method)


INNER = (slice(None), slice(4, -4), slice(4, -4))


def apart(problem, method, expected):
    """RMSE against the reference away from the edges, to what the method adds to plain upsampling."""
    fused = method.fuse(problem).full()[0].double().numpy()
    plain = enlarged(problem.rich.data[0].double().numpy(), RATIO)
    return np.sqrt(np.mean((fused - expected)[INNER] ** 2) / np.mean((expected - plain)[INNER] ** 2))


def test_equals_the_minimum_that_another_iteration_finds(solved):
    assert apart(*solved) < 0.02


def test_more_steps_come_nearer(solved):
    problem, method, expected = solved
    far = [apart(problem, replace(method, steps=n).with_state(method.state), expected) for n in (3, 20, 100)]
    assert far[0] > 1.5 * far[1] > 3.0 * far[2]


def test_another_weight_of_variation_is_another_minimum(solved):
    problem, method, expected = solved
    assert apart(problem, replace(method, variation=2e-2).with_state(method.state), expected) > 0.05


def test_variation_takes_noise_away():
    problem = scene(noise=0.03, size=48)

    def error(**settings):
        method = HySure(psf="given", rank=3, **settings).fit([problem.question()])
        return float((method.fuse(problem.question()).full() - problem.truth).square().mean().sqrt())

    assert error(variation=3e-3) < 0.95 * error(variation=0.0)


@pytest.mark.parametrize("basis", ["vertices", "components"])
def test_units_do_not_matter(basis):
    problem = scene().question()
    large = problem.with_observations(
        {role: replace(one, data=one.data * 1e4) for role, one in problem.observations.items()}
    )
    plain, scaled = (
        HySure(psf="given", rank=3, basis=basis, steps=20).fit([p]).fuse(p).full() for p in (problem, large)
    )
    torch.testing.assert_close(scaled / 1e4, plain, atol=2e-4, rtol=0)


def test_the_largest_volume_of_all_draws_is_kept():
    problem = scene(size=48).question()

    def volume(**settings):
        basis = HySure(psf="given", rank=4, **settings).fit([problem]).state["0.basis"].double()
        return float(torch.linalg.slogdet(basis.T @ basis).logabsdet)

    single = [volume(draws=1, seed=seed) for seed in range(6)]
    assert volume(draws=6) == pytest.approx(max(single), abs=1e-6)
    assert min(single) < max(single)


def test_the_rank_stays_between_ten_and_thirty():
    problem = scene(size=48, bands=40).question()
    assert HySure(psf="given").fit([problem]).state["0.basis"].shape[1] == 10
    assert HySure(psf="given", rank=50).fit([problem]).state["0.basis"].shape[1] == 40


class Nearsighted(HySure):
    """Looks no further than a pixel."""

    def context(self, ratio, reach):
        return 1


def test_tiles_of_a_large_scene_are_the_whole():
    problem = tiny_problem(size=144, bands=8, dates=1, ratios=(2, 2), gaps=True)
    method = HySure(rank=3, steps=50, draws=2).fit([problem.question()])
    whole = method.fuse(problem.question()).full()
    assert float((fuse_tiled(method, problem, 48) - whole).abs().max()) <= method.card.seam
    near = Nearsighted(rank=3, steps=50, passes=0).with_state(method.state)
    assert float((fuse_tiled(near, problem, 48) - whole).abs().max()) > method.card.seam
