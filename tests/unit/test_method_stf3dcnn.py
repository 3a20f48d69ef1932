"""stf3dcnn: fine changes from coarse ones, walked from every base to the asked date and merged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stfscenes import stf_problem

from stsfusion.fusion.answer import Quality
from stsfusion.learning.changenet import ChangeNet, layer_sizes
from stsfusion.learning.kept import under
from stsfusion.learning.looks import Looks
from stsfusion.methods.stf3dcnn import STF3DCNN


def fitted(problem, **settings):
    return STF3DCNN.example(**settings).fit([problem.question()])


def merged(fine, coarse, asked, known, scale, half, moved):
    """Weights by the inverse mean change in a window, one pixel after the other."""
    n, bands, rows, cols = fine.shape
    out = np.empty((bands, rows, cols))
    for row, col in np.ndindex(rows, cols):
        window = (slice(max(row - half, 0), row + half + 1), slice(max(col - half, 0), col + half + 1))
        weights = np.empty(n)
        for i in range(n):
            apart = (asked - coarse[i])[(slice(None), *window)].mean((1, 2)) / scale
            weights[i] = 1.0 / max(np.abs(apart).mean(), 0.01)
        trusted = weights * known[:, row, col] if known[:, row, col].any() else weights
        out[:, row, col] = (trusted[:, None] * moved[:, :, row, col]).sum(0) / trusted.sum()
    return out


def images(problem, method, date):
    """Bases and the asked date as float64 numpy, the days of both, and which pixels the bases know."""
    tile = Looks.of(problem.question(), method.fitted()["live"], method.passes)
    bases, asked = [tile.base(base) for base in method.chosen(tile, date)], tile.look(date)
    fine, coarse = (
        torch.stack([getattr(base, name) for base in bases]).double().numpy() for name in ("fine", "coarse")
    )
    known = torch.stack([base.known for base in bases]).numpy()
    return fine, coarse, asked.coarse.double().numpy(), known, [base.day for base in bases], asked.day


@pytest.mark.parametrize("gaps", [False, True])
def test_without_its_network_it_is_every_base_with_the_coarse_change(gaps):
    problem = stf_problem(gaps=gaps)
    method = fitted(problem, steps=0)
    fine, coarse, asked, known, _, _ = images(problem, method, 1)
    moved = fine + asked - coarse
    scale = method.state["own.scale"].double().numpy()
    wanted = merged(fine, coarse, asked, known, scale, method._half(4), moved)
    answer = method.fuse(problem.question())
    fused = (answer.quality[1, 0] == int(Quality.FUSED)).numpy()
    np.testing.assert_allclose(answer.full()[1].numpy()[:, fused], wanted[:, fused], atol=1e-5)


@pytest.mark.parametrize("days, date", [((0.0, 16.0, 40.0), 1), ((0.0, 20.0, 52.0, 60.0), 3)])
def test_it_walks_the_networks_changes_from_every_base_to_the_date(days, date):
    """Between its bases the date is one step from each; beyond them it is one step and two."""
    problem = stf_problem(days=days, sharp_dates=(0, 2))
    if date == 3:
        problem = stf_problem(days=days, sharp_dates=(0, 1))
    method = fitted(problem, steps=15)
    fine, coarse, asked, known, base_days, day = images(problem, method, date)
    order = np.argsort([*base_days, day])
    series = np.concatenate([coarse, asked[None]])[order]
    scale = method.state["own.scale"].double().numpy()[:, None, None]
    weights = under(under(method.state, "own"), "net")
    net = ChangeNet(*layer_sizes(weights)).double()
    net.load_state_dict({name: tensor.double() for name, tensor in weights.items()})
    stack = torch.from_numpy(np.diff(series, axis=0) / scale).transpose(0, 1)[None]
    steps = net(stack)[0].transpose(0, 1).detach().numpy() * scale
    assert float(np.abs(steps - np.diff(series, axis=0)).max()) > 1e-4
    if date == 1:
        moved = np.stack([fine[0] + steps[0], fine[1] - steps[1]])
    else:
        moved = np.stack([fine[0] + steps[0] + steps[1], fine[1] + steps[1]])
    wanted = merged(fine, coarse, asked, known, scale[:, 0, 0], method._half(4), moved)
    np.testing.assert_allclose(method.fuse(problem.question()).full()[date].numpy(), wanted, atol=1e-5)


def test_strips_give_what_one_piece_gives(monkeypatch):
    problem = stf_problem(size=(48, 20))
    method = fitted(problem)
    whole = method.fuse(problem.question()).full()
    monkeypatch.setattr("stsfusion.methods.stf3dcnn._STRIP", 5)
    torch.testing.assert_close(method.fuse(problem.question()).full(), whole, atol=1e-6, rtol=0)


def patchwork():
    """Fields with sharp borders, each field and date of its own colour: upsampled, they are too smooth."""
    problem = stf_problem(size=(64, 64), days=(0.0, 16.0, 30.0, 48.0, 64.0), sharp_dates=(0, 2, 4))
    rng = np.random.default_rng(3)
    colours = rng.uniform(0.1, 0.5, (5, 3, 16, 16)).repeat(4, 2).repeat(4, 3)
    truth = torch.tensor(colours, dtype=torch.float32)
    seen = {role: replace(o, data=o.view(truth)) for role, o in problem.observations.items()}
    return replace(problem, truth=truth).with_observations(seen)


def test_what_it_learned_brings_it_closer():
    problem = patchwork()

    def error(**settings):
        off = (fitted(problem, **settings).fuse(problem.question()).full() - problem.truth)[[1, 3]]
        return float(off.square().mean().sqrt())

    assert error(steps=200, width=12, batch=4) < 0.93 * error(steps=0)


def test_it_is_trained_until_what_is_held_back_is_flat():
    curve = fitted(patchwork(), steps=2000, patience=1, batch=1).state["own.curve"]
    assert float(curve[-1, 0]) < 2000
    assert float(curve[:, 1].min()) < 0.9 * float(curve[0, 1])
    assert float(curve[-1, 1]) > 0.95 * float(curve[:-1, 1].min())


def test_one_base_is_moved_by_the_coarse_change():
    problem = stf_problem(sharp_dates=(0,))
    method = fitted(problem)
    assert not under(under(method.state, "own"), "net")
    fine, coarse, asked, *_ = images(problem, method, 1)
    answer = method.fuse(problem.question()).full()[1].numpy()
    np.testing.assert_allclose(answer, fine[0] + asked - coarse[0], atol=1e-5)


def test_bases_that_no_pixel_shares_teach_nothing():
    problem = stf_problem()
    valid = torch.ones(2, 1, 24, 20, dtype=torch.bool)
    valid[0, :, :, :10] = valid[1, :, :, 10:] = False
    apart = problem.with_observations({**problem.observations, "sharp": replace(problem.sharp, valid=valid)})
    method = fitted(apart)
    assert not under(under(method.state, "own"), "net")
    assert bool(torch.isfinite(method.fuse(apart.question()).full()).all())


def test_a_unit_is_only_a_unit():
    once, other = (fitted(p).fuse(p.question()).full() for p in (stf_problem(), stf_problem(scale=2.0**13)))
    torch.testing.assert_close(other / 2.0**13, once, atol=2e-5, rtol=0)


def test_a_seed_repeats_and_another_does_not():
    problem = stf_problem()
    first, again, other = (fitted(problem, seed=seed, steps=3).state for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["own.net.first.weight"], other["own.net.first.weight"])
