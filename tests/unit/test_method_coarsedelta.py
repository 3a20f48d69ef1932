"""coarsedelta against its one line in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from references import enlarged

from stsfusion.methods.coarsedelta import CoarseDelta
from stsfusion.testing import tiny_problem


def by_hand(problem, date, shares):
    """(band, y, x) F_k = Σ w_i F_i + (C_k − Σ w_i C_i)↑."""
    dense = problem.dense.data.double().numpy()
    out = enlarged(dense[date], problem.dense.ratio)
    for share, place, base in shares:
        out = out + share * (problem.sharp.data[place].double().numpy())
        out = out - share * enlarged(dense[base], problem.dense.ratio)
    return out


def test_equals_the_plain_formula_between_and_beyond_the_bases():
    problem = tiny_problem(size=48, dates=5, multispectral=True).question()
    problem = problem.with_observations({"sharp": problem.sharp.select([0, 1])})
    fused = CoarseDelta().fit([problem]).fuse(problem).full().numpy()
    for date, shares in ((1, [(0.5, 0, 0), (0.5, 1, 2)]), (3, [(1.0, 1, 2)]), (4, [(1.0, 1, 2)])):
        np.testing.assert_allclose(fused[date], by_hand(problem, date, shares), atol=1e-5)


def test_shares_follow_days_and_leave_out_what_a_base_did_not_see():
    problem = tiny_problem(size=24, dates=3, multispectral=True).question()
    problem = replace(problem, target=replace(problem.target, days=torch.tensor([0.0, 4.0, 16.0]).double()))
    seen = torch.ones(2, 1, 24, 24, dtype=torch.bool)
    seen[1, :, :8, :8] = False
    problem = problem.with_observations({"sharp": replace(problem.sharp, valid=seen)})
    fused = CoarseDelta().fit([problem]).fuse(problem).full()[1].numpy()
    both = by_hand(problem, 1, [(0.75, 0, 0), (0.25, 1, 2)])
    alone = by_hand(problem, 1, [(1.0, 0, 0)])
    np.testing.assert_allclose(fused[:, :8, :8], alone[:, :8, :8], atol=1e-5)
    np.testing.assert_allclose(fused[:, 8:], both[:, 8:], atol=1e-5)


def test_a_change_that_both_sensors_see_alike_is_found_whole():
    problem = tiny_problem(size=24, dates=3, multispectral=True).question()
    rise = torch.tensor([0.0, 0.1, 0.0])[:, None, None, None]
    dense = replace(problem.dense, data=problem.dense.data[:1] + rise)
    sharp = replace(problem.sharp, data=problem.sharp.data[:1].expand(2, -1, -1, -1))
    problem = problem.with_observations({"dense": dense, "sharp": sharp})
    fused = CoarseDelta().fit([problem]).fuse(problem).full()
    torch.testing.assert_close(fused[1], sharp.data[0] + 0.1, atol=1e-6, rtol=0)
