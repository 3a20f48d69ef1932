"""sfimhs against intensity modulation written out in numpy, band by band, and its behaviour in the dark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.methods.sfimhs import SFIMHS
from stsfusion.testing import tiny_problem


def by_hand(problem):
    """(L, H, W) float64 of the only date: Z↑ · I / (I↓)↑ where nothing is dark."""
    z, y = (seen.data[0].double().numpy() for seen in (problem.rich, problem.sharp))
    kernel, ratio = problem.rich.view.spatial.kernel.numpy(), problem.rich.ratio
    low = blurred(y, kernel, ratio)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    learned = low[inner].reshape(len(low), -1)
    design = np.column_stack([learned.T, np.ones(learned.shape[1])])
    out = []
    for band in z:
        weights, *_ = np.linalg.lstsq(design, band[inner[1:]].ravel(), rcond=None)
        made = np.einsum("l,lyx->yx", weights[:-1], y) + weights[-1]
        out.append(enlarged(band, ratio) * made / enlarged(blurred(made, kernel, ratio), ratio))
    return np.stack(out)


@pytest.mark.parametrize("ratio", [2, 3])
def test_equals_the_plain_formula(ratio):
    problem = tiny_problem(size=48, bands=6, dates=1, ratios=(ratio, 2)).question()
    expected = by_hand(problem)
    method = SFIMHS(psf="given", ridge=0.0, floor=1e-6, highest=1e3)
    fused = method.fit([problem]).fuse(problem).full()[0].numpy()
    injected = expected - enlarged(problem.rich.data[0].numpy(), ratio)
    assert np.sqrt(np.mean((fused - expected) ** 2)) < 0.02 * np.sqrt(np.mean(injected**2))


def test_the_ratio_stays_within_its_limits():
    problem = tiny_problem(size=48, bands=6, dates=1).question()
    fitted = SFIMHS(psf="given", highest=1.01).fit([problem])
    plain = enlarged(problem.rich.data[0].numpy(), 3)
    fused = fitted.fuse(problem).full()[0].numpy()
    assert (fused <= 1.01 * plain + 1e-6).all()
    assert (fused > plain + 1e-4).any()


@pytest.mark.parametrize("level", [0.0, -0.3])
def test_the_dark_is_not_divided_by(level):
    """A scene lowered until half of it is negative, or to about zero, stays within its own range."""
    problem = tiny_problem(size=48, bands=6, dates=1).question()
    down = {
        role: replace(seen, data=seen.data - float(seen.data.median()) + level)
        for role, seen in problem.observations.items()
    }
    dark = problem.with_observations(down)
    fused = SFIMHS().fit([dark]).fuse(dark).full()
    assert bool(torch.isfinite(fused).all())
    assert float(fused.abs().max()) <= 5.0 * float(dark.rich.data.abs().max()) * 1.3


def test_a_negated_scene_gives_the_negated_answer():
    problem = tiny_problem(size=48, bands=6, dates=1).question()
    turned = {role: replace(seen, data=-seen.data) for role, seen in problem.observations.items()}
    one, other = (SFIMHS().fit([p]).fuse(p).full() for p in (problem, problem.with_observations(turned)))
    torch.testing.assert_close(other, -one, atol=1e-5, rtol=0.0)


def test_an_empty_scene_stays_empty():
    problem = tiny_problem(size=24, bands=6, dates=1).question()
    none = {
        role: replace(seen, data=torch.zeros_like(seen.data)) for role, seen in problem.observations.items()
    }
    empty = problem.with_observations(none)
    assert not SFIMHS().fit([empty]).fuse(empty).full().any()
