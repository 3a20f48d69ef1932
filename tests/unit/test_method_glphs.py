"""glphs against hypersharpening written out in numpy, band by band."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.fusion.method import Geometry
from stsfusion.methods.glphs import GLPHS
from stsfusion.operators.blur import mtf_kernel
from stsfusion.testing import tiny_problem


def by_hand(problem, kernel, rule):
    """(L, H, W) float64 of the only date; pixels at the edge, which see beyond it, teach nothing."""
    z, y = (seen.data[0].double().numpy() for seen in (problem.rich, problem.sharp))
    ratio = problem.rich.ratio
    low = blurred(y, kernel, ratio)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    learned = low[inner].reshape(len(low), -1)
    design = np.column_stack([learned.T, np.ones(learned.shape[1])])
    out = []
    for band, known in zip(z, z[inner].reshape(len(z), -1), strict=True):
        if rule == "linear":
            (*weights, offset), *_ = np.linalg.lstsq(design, known, rcond=None)
        else:
            likeness = [np.corrcoef(one, known)[0, 1] for one in learned]
            weights, offset = np.eye(len(low))[int(np.argmax(likeness))], 0.0
        made = sum(w * one for w, one in zip(weights, y, strict=True)) + offset
        coarse = blurred(made, kernel, ratio)
        gain = np.cov(coarse[inner[1:]].ravel(), known, ddof=0)
        out.append(enlarged(band, ratio) + gain[0, 1] / gain[0, 0] * (made - enlarged(coarse, ratio)))
    return np.stack(out)


@pytest.mark.parametrize("rule", ["linear", "band"])
@pytest.mark.parametrize("ratio", [2, 3])
def test_equals_the_plain_formula(rule, ratio):
    problem = tiny_problem(size=48, bands=6, dates=1, ratios=(ratio, 2)).question()
    expected = by_hand(problem, problem.rich.view.spatial.kernel.numpy(), rule)
    fused = GLPHS(psf="given", rule=rule, ridge=0.0).fit([problem]).fuse(problem).full()[0].numpy()
    off = np.sqrt(np.mean((fused - expected) ** 2))
    assert off < 0.02 * np.sqrt(np.mean((expected - enlarged(problem.rich.data[0].numpy(), ratio)) ** 2))


def test_a_pyramid_matched_to_a_modulation_has_its_own_low_pass():
    problem = tiny_problem(size=48, bands=6, dates=1).question()
    expected = by_hand(problem, mtf_kernel(0.3, 3).numpy(), "linear")
    matched = GLPHS(psf="given", mtf=0.3, ridge=0.0)
    fused = matched.fit([problem]).fuse(problem).full()[0].numpy()
    injected = expected - enlarged(problem.rich.data[0].numpy(), 3)
    assert np.sqrt(np.mean((fused - expected) ** 2)) < 0.02 * np.sqrt(np.mean(injected**2))
    other = GLPHS(psf="given", ridge=0.0).fit([problem]).fuse(problem).full()[0].numpy()
    assert np.sqrt(np.mean((other - expected) ** 2)) > 0.05 * np.sqrt(np.mean(injected**2))
    geometry = Geometry({"rich": 3}, {"rich": 0})
    assert matched.halo(geometry) > GLPHS(psf="given").halo(geometry)


def test_the_gain_of_one_leaves_the_regression_as_it_is():
    problem = tiny_problem(size=24, bands=6, dates=1).question()
    states = [
        GLPHS(psf="given", gain=gain).fit([problem]).state["0.weights"] for gain in ("one", "regression")
    ]
    torch.testing.assert_close(*states, atol=1e-3, rtol=1e-3)
    assert bool((GLPHS(rule="nonnegative", gain="one").fit([problem]).state["0.weights"] >= 0).all())
