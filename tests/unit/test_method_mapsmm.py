"""mapsmm against the whole method written out in numpy: pixel by pixel and class by class."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from references import blurred, enlarged

from stsfusion.learning.mixing import lattice
from stsfusion.methods.mapsmm import MAPSMM
from stsfusion.testing import tiny_problem


def normal(apart, spread):
    return np.exp(-0.5 * apart @ np.linalg.solve(spread, apart)) / np.sqrt(np.linalg.det(2 * np.pi * spread))


def learned(x, materials, levels, rounds):
    """Prior, means and covariances of all classes, expectation and maximisation in turn."""
    d = x.shape[1]
    total = np.cov(x.T, ddof=0)
    base = total / materials + 1e-8 * np.trace(total) / d * np.eye(d)
    means, spreads = [x.mean(0)], [base.copy() for _ in range(materials)]
    while len(means) <= materials:
        means.append(x[np.min([((x - m) ** 2).sum(1) for m in means], 0).argmax()])
    means = means[1:]
    shares = lattice(materials, levels).numpy()
    prior = np.full(len(shares), 1 / len(shares))
    for _ in range(rounds):
        mixed = [
            (a @ np.array(means), sum(s**2 * c for s, c in zip(a, spreads, strict=True))) for a in shares
        ]
        post = np.array(
            [[p * normal(one - m, c) for p, (m, c) in zip(prior, mixed, strict=True)] for one in x]
        )
        post /= post.sum(1, keepdims=True)
        hidden = {k: [] for k in range(materials)}
        for (i, one), (q, a), k in product(enumerate(x), enumerate(shares), range(materials)):
            if a[k] > 0:
                m, c = mixed[q]
                gain = a[k] * spreads[k] @ np.linalg.inv(c)
                left = spreads[k] - a[k] * gain @ spreads[k]
                hidden[k].append((post[i, q], means[k] + gain @ (one - m), left))
        for k, found in hidden.items():
            weight = sum(w for w, _, _ in found)
            means[k] = sum(w * v for w, v, _ in found) / weight
            seen = sum(w * (np.outer(v - means[k], v - means[k]) + c) for w, v, c in found)
            spreads[k] = (seen + (d + 2) * base) / (weight + d + 2)
        prior = post.mean(0)
    return prior, shares @ np.array(means), np.einsum("qk,kij->qij", shares**2, np.array(spreads))


def by_hand(problem, components, materials, levels, rounds):
    """(L, H, W) float64 of the only date; pixels at the edge, which see beyond it, teach nothing."""
    z, y = (seen.data[0].double().numpy() for seen in (problem.rich, problem.sharp))
    kernel, ratio = problem.rich.view.spatial.kernel.numpy(), problem.rich.ratio
    low = blurred(y, kernel, ratio)[:, 1:-1, 1:-1].reshape(len(y), -1)
    inner = z[:, 1:-1, 1:-1].reshape(len(z), -1)
    centred = inner - inner.mean(1, keepdims=True)
    basis = np.linalg.svd(centred, full_matrices=False)[0][:, :components].T
    joint = np.vstack([basis @ centred, low]).T
    prior, means, spreads = learned(joint, materials, levels, rounds)
    scores = np.zeros((components, *y.shape[1:]))
    for r, c in np.ndindex(*y.shape[1:]):
        one, k = y[:, r, c], components
        like = np.array(
            [p * normal(one - m[k:], s[k:, k:]) for p, m, s in zip(prior, means, spreads, strict=True)]
        )
        for share, m, s in zip(like / like.sum(), means, spreads, strict=True):
            scores[:, r, c] += share * (m[:k] + s[:k, k:] @ np.linalg.solve(s[k:, k:], one - m[k:]))
    lent = scores - enlarged(blurred(scores, kernel, ratio), ratio)
    return enlarged(z, ratio) + np.einsum("kb,kyx->byx", basis, lent)


@pytest.mark.parametrize(("materials", "levels"), [(1, 1), (2, 3), (3, 2)])
def test_equals_the_plain_formula(materials, levels):
    problem = tiny_problem(size=24, bands=8, dates=1).question()
    expected = by_hand(problem, 3, materials, levels, 3)
    method = MAPSMM(psf="given", components=3, materials=materials, levels=levels, rounds=3)
    fused = method.fit([problem]).fuse(problem).full()[0].numpy()
    injected = expected - enlarged(problem.rich.data[0].numpy(), 3)
    assert np.sqrt(np.mean((fused - expected) ** 2)) < 0.002 * np.sqrt(np.mean(injected**2))


def test_the_reference_would_see_one_round_too_few():
    problem = tiny_problem(size=24, bands=8, dates=1).question()
    expected = by_hand(problem, 3, 2, 3, 3)
    method = MAPSMM(psf="given", components=3, materials=2, levels=3, rounds=1)
    fused = method.fit([problem]).fuse(problem).full()[0].numpy()
    injected = expected - enlarged(problem.rich.data[0].numpy(), 3)
    assert np.sqrt(np.mean((fused - expected) ** 2)) > 0.004 * np.sqrt(np.mean(injected**2))


def test_classes_see_what_one_line_cannot():
    """A scene whose bands are products of others: bent over the multispectral values."""
    problem = tiny_problem(size=72, bands=20, dates=1)
    truth = 3.0 * problem.truth * problem.truth.flip(1)
    seen = {role: replace(one, data=one.view(truth)) for role, one in problem.observations.items()}
    asked = problem.question().with_observations(seen)
    one, many = (
        MAPSMM(psf="given", materials=count, levels=count).fit([asked]).fuse(asked).full() for count in (1, 4)
    )
    assert float((many - truth).square().mean()) < 0.9 * float((one - truth).square().mean())


def test_an_empty_scene_stays_empty():
    problem = tiny_problem(size=24, bands=6, dates=1).question()
    for seen in problem.observations.values():
        seen.data.zero_()
    assert not MAPSMM().fit([problem]).fuse(problem).full().any()
