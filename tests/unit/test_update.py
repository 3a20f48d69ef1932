"""The update against the conditional mean of Gaussian variables, in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.learning.pair import Pair
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.update import Update
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.pairmodel import PairModel

BANDS, FINE, RANK = 10, 3, 4


def parts(seed=0, noise=0.01, misfit=0.0, size=40, covered=(True, True, True), bias=0.0):
    """Pair, estimated scores, left-out errors, their weight, subspace and model; and the true scores."""
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(RANK, BANDS))
    subspace = Subspace(
        *(torch.from_numpy(t).float() for t in (rng.random(BANDS), basis, basis.T, np.ones(10)))
    )
    response = rng.random((FINE, BANDS)) / BANDS
    spread = rng.normal(size=(RANK, RANK)) * 0.1
    truth = rng.normal(size=(RANK, size, size))
    errors = np.einsum("ab,byx->ayx", spread, rng.normal(size=truth.shape))
    scene = np.einsum("pb,pyx->byx", basis, truth) + subspace.mean.double().numpy()[:, None, None]
    fine = np.einsum("lb,byx->lyx", response, scene) + noise * rng.normal(size=(FINE, size, size)) + bias
    left = torch.from_numpy((spread @ rng.normal(size=(RANK, 500))).T)
    pair = Pair(
        coarse=torch.zeros(BANDS, size // 2, size // 2),
        fine=torch.from_numpy(fine),
        clear=torch.ones(size // 2, size // 2, dtype=torch.bool),
        known=torch.ones(size, size, dtype=torch.bool),
        coverage=torch.tensor(covered)[:, None].expand(FINE, BANDS),
        nm=torch.linspace(400, 900, BANDS),
        ratio=2,
        day=0.0,
        coarse_noise=None,
        fine_noise=None,
    )
    model = PairModel(
        box_kernel(2), torch.from_numpy(response), torch.full((FINE,), misfit), torch.zeros(2), 2
    )
    weight = torch.from_numpy(rng.uniform(0.5, 1.5, 500))
    return pair, torch.from_numpy(truth - errors), left, weight / weight.mean(), subspace, model, truth


def learned(pair, scores, left, weight, subspace, model, _=None):
    pair = replace(pair, fine=pair.fine.float())
    return Update.learn([pair], [scores.float()], left, weight, subspace, model)


def double(update):
    return Update(update.gain.double(), update.seen.double(), update.offset.double())


def by_hand(pair, scores, left, weight, subspace, model, keep=(0, 1, 2)):
    """(p, H, W) to add: C Rᵀ (R C Rᵀ + D + S)⁻¹ i of the bands that are kept."""
    keep = list(keep)
    basis, mean = subspace.basis.double().numpy(), subspace.mean.double().numpy()
    response = model.response.numpy()[keep]
    seen = response @ basis.T
    known = pair.known.numpy()
    i = pair.fine.numpy()[keep] - np.einsum("lp,pyx->lyx", seen, scores.numpy())
    i -= (response @ mean)[:, None, None]
    shown = i[:, known]
    c = (left.numpy().T * weight.numpy()) @ left.numpy() / len(left)
    d = shown @ shown.T / shown.shape[1]
    s = np.diag(model.misfit.double().numpy()[keep] ** 2)
    return np.einsum("pl,lyx->pyx", c @ seen.T @ np.linalg.inv(seen @ c @ seen.T + d + s), i)


@pytest.mark.parametrize("misfit", [0.0, 0.05])
def test_it_is_the_conditional_mean(misfit):
    each = parts(misfit=misfit)
    pair, *rest, _ = each
    known = torch.ones_like(pair.known)
    known[:7, :9] = False
    pair = replace(pair, known=known, fine=torch.where(known, pair.fine, 5.0))
    got = double(learned(pair, *rest))(pair.fine, rest[0])
    np.testing.assert_allclose(got.numpy(), by_hand(pair, *rest), atol=1e-4 * float(got.abs().max()))


def test_the_formula_is_that_of_jointly_normal_variables():
    """E[x | i] by drawing x and i = R x + n, and regressing the one on the other."""
    rng = np.random.default_rng(3)
    spread, seen = rng.normal(size=(RANK, RANK)), rng.normal(size=(FINE, RANK))
    noise = rng.normal(size=(FINE, FINE))
    x = spread @ rng.normal(size=(RANK, 400_000))
    i = seen @ x + noise @ rng.normal(size=(FINE, 400_000))
    drawn = np.linalg.lstsq(i.T, x.T, rcond=None)[0].T
    c, d = spread @ spread.T, noise @ noise.T
    np.testing.assert_allclose(drawn, c @ seen.T @ np.linalg.inv(seen @ c @ seen.T + d), atol=0.02)


def test_it_brings_scores_nearer_to_the_truth():
    pair, scores, *rest, truth = parts()
    better = scores + double(learned(pair, scores, *rest))(pair.fine, scores)
    before, after = (float((each - torch.from_numpy(truth)).square().mean()) for each in (scores, better))
    assert after < 0.9 * before


def test_what_does_not_hold_is_not_obeyed():
    sure, unsure, biased = (
        learned(*each) for each in (parts(), parts(misfit=1e3), parts(bias=np.full((FINE, 1, 1), 50.0)))
    )
    size = float(sure.gain.norm())
    assert float(unsure.gain.norm()) < 1e-5 * size
    # An innovation that is the same everywhere is off along one direction, and not obeyed along it.
    step = torch.ones(FINE)
    assert float((biased.gain @ step).norm()) < 1e-3 * float((sure.gain @ step).norm())


def test_uncovered_bands_are_not_used():
    each = parts(covered=(True, False, True))
    pair, scores, left, weight, subspace, model, _ = each
    update = learned(*each)
    assert not update.gain[:, 1].any()
    assert not update.seen[1].any()
    fine = pair.fine.clone()
    fine[1] = 3.0 * update.innovation(pair.fine.float(), scores.float())[0]
    other = learned(replace(pair, fine=fine), *each[1:])
    torch.testing.assert_close(other.gain, update.gain, atol=1e-5, rtol=0)
    got = double(update)(pair.fine, scores)
    wanted = by_hand(pair, scores, left, weight, subspace, model, keep=(0, 2))
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-4 * float(got.abs().max()))
    none = learned(*parts(covered=(False, False, False)))
    assert not none.gain.any()


def test_errors_are_updated_as_their_scores_would_be():
    each = parts()
    left, update = each[2], double(learned(*each))
    rng = np.random.default_rng(1)
    true = torch.from_numpy(rng.normal(size=(RANK, 500)))
    fine = torch.from_numpy(rng.normal(size=(FINE, 500)))
    estimate = true - left.T
    after = estimate[:, :, None] + update(fine[:, :, None], estimate[:, :, None])
    wanted = true - after[:, :, 0]
    torch.testing.assert_close(update.of_errors(left, true, fine), wanted.T, atol=1e-9, rtol=0)


def test_tiles_count_by_their_pixels():
    pair, scores, *rest, _ = parts()
    halves = [
        (replace(pair, fine=pair.fine[:, a:b].float(), known=pair.known[a:b]), scores[:, a:b].float())
        for a, b in ((0, 11), (11, 40))
    ]
    both = Update.learn(*(list(each) for each in zip(*halves, strict=True)), *rest)
    whole = learned(pair, scores, *rest)
    torch.testing.assert_close(both.gain, whole.gain, atol=1e-4, rtol=1e-4)
