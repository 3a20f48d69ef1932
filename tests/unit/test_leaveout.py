"""Left-out residuals against fits that were really done without a block; stacking against a search."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning import leaveout
from stsfusion.learning.leaveout import blocks_of, path, ridge, stack
from stsfusion.learning.likeness import Likeness

RIGID = 0.02
"""What is added to I − H_BB."""


def lesson(n=42, d=6, c=2, p=3, seed=0):
    """Features, plain columns, outputs, weights and blocks of four, the last one of two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    plain = np.c_[np.ones(n), rng.normal(size=(n, c - 1))]
    y = x @ rng.normal(size=(d, p)) + plain @ rng.normal(3.0, 1.0, (c, p)) + rng.normal(size=(n, p))
    weight = rng.uniform(0.3, 3.0, n)
    weight /= weight.mean()
    places = rng.permutation(n)
    blocks = np.full((-(-n // 4), 4), n)
    blocks.flat[:n] = places
    return x, plain, y, weight, blocks


def fitted(x, plain, y, weight, amount):
    """(d + c, p) argmin Σ w ‖y − x B − c D‖² + amount ‖B‖²."""
    design = np.c_[x, plain]
    price = amount * np.diag([1.0] * x.shape[1] + [0.0] * plain.shape[1])
    return np.linalg.solve(design.T * weight @ design + price, design.T * weight @ y)


def really_left_out(x, plain, y, weight, blocks, amount):
    """Residuals of every block under the fit to all other pixels."""
    out = np.zeros_like(y)
    for block in blocks:
        own = block[block < len(y)]
        rest = np.setdiff1d(np.arange(len(y)), own)
        found = fitted(x[rest], plain[rest], y[rest], weight[rest], amount)
        out[own] = y[own] - np.c_[x, plain][own] @ found
    return out


def found(parts, penalties):
    x, plain, y, weight, blocks = (torch.from_numpy(part) for part in parts)
    return ridge(x, plain, y, weight, blocks, penalties)


@pytest.mark.parametrize("penalty", [1e-6, 0.05, 3.0])
def test_left_out_residuals_are_those_of_fits_without_the_block(penalty, monkeypatch):
    monkeypatch.setattr(leaveout, "_RIGID", 0.0)
    parts = lesson()
    wanted = really_left_out(*parts, penalty * len(parts[2]))
    np.testing.assert_allclose(found(parts, [penalty]).left.numpy(), wanted, atol=1e-9)


@pytest.mark.parametrize("penalty", [1e-6, 0.05, 3.0])
def test_rigidity_takes_them_down_as_it_says(penalty):
    """(I − H) e = r turns into (I − H + 0.02 I) e = r, with the hat matrix H of the weighted fit."""
    parts = lesson()
    x, plain, y, weight, blocks = parts
    amount = penalty * len(y)
    exact = really_left_out(*parts, amount)
    got = found(parts, [penalty]).left.numpy()
    root = np.sqrt(weight)[:, None]
    design = np.c_[x, plain] * root
    price = amount * np.diag([1.0] * x.shape[1] + [0.0] * plain.shape[1])
    hat = design @ np.linalg.solve(design.T @ design + price, design.T)
    for block in blocks:
        own = block[block < len(y)]
        free = np.eye(len(own)) - hat[np.ix_(own, own)]
        softer = np.linalg.solve(free + RIGID * np.eye(len(own)), free @ (root * exact)[own]) / root[own]
        np.testing.assert_allclose(got[own], softer, atol=1e-9)
    assert 1e-3 < np.linalg.norm(got - exact) / np.linalg.norm(exact) < 2 * RIGID


@pytest.mark.parametrize("penalty", [1e-6, 0.05, 3.0])
def test_fits_that_are_rid_of_what_is_alike_are_generalised_least_squares(penalty, monkeypatch):
    """Against fits to rows that a dense matrix rids, done again without each block."""
    monkeypatch.setattr(leaveout, "_RIGID", 0.0)
    x, plain, y, weight, blocks = lesson()
    likeness, share = Likeness.of([torch.ones(6, 7, dtype=torch.bool)]), 0.7
    rid = likeness.rid(torch.eye(42, dtype=torch.float64), share).numpy()
    shares = torch.full((3,), share, dtype=torch.float64)
    parts = (torch.from_numpy(part) for part in (x, plain, y, weight, blocks))
    fit = ridge(*parts, [penalty], likeness, shares)
    wanted = fitted(rid @ x, rid @ plain, rid @ y, weight, penalty * 42)
    np.testing.assert_allclose(torch.cat([fit.slope, fit.plain]).numpy(), wanted, atol=1e-8)
    judged = really_left_out(rid @ x, rid @ plain, rid @ y, weight, blocks, penalty * 42)
    np.testing.assert_allclose(fit.judged.numpy(), judged, atol=1e-8)
    left = np.zeros_like(y)
    for block in blocks:
        own = block[block < 42]
        rest = np.setdiff1d(np.arange(42), own)
        found_ = fitted((rid @ x)[rest], (rid @ plain)[rest], (rid @ y)[rest], weight[rest], penalty * 42)
        left[own] = y[own] - np.c_[x, plain][own] @ found_
    np.testing.assert_allclose(fit.left.numpy(), left, atol=1e-8)


def test_every_output_is_rid_of_its_own_share():
    x, plain, y, weight, blocks = (torch.from_numpy(part) for part in lesson())
    likeness = Likeness.of([torch.ones(6, 7, dtype=torch.bool)])
    shares = torch.tensor([0.5, 0.0, 0.8], dtype=torch.float64)
    fit = ridge(x, plain, y, weight, blocks, [0.01, 1.0], likeness, shares)
    for k, share in enumerate(shares):
        alone = ridge(x, plain, y[:, k : k + 1], weight, blocks, [0.01, 1.0], likeness, share[None])
        for name in ("slope", "plain", "left", "judged"):
            torch.testing.assert_close(getattr(fit, name)[:, k : k + 1], getattr(alone, name))


def test_a_block_that_the_fit_hangs_on_alone_stays_finite():
    x, plain, y, weight, blocks = lesson()
    x = np.c_[x, np.zeros(len(y))]
    x[blocks[0, 0], -1] = 1.0
    left = found((x, plain, y, weight, blocks), [0.0]).left
    assert bool(torch.isfinite(left).all())
    assert float(left.abs().max()) < 100 * np.abs(y).max()


@pytest.mark.parametrize("penalty", [1e-6, 0.3])
def test_slopes_are_those_of_the_normal_equations(penalty):
    x, plain, y, weight, _ = parts = lesson()
    fit = found(parts, [penalty])
    wanted = fitted(x, plain, y, weight, penalty * len(y))
    np.testing.assert_allclose(torch.cat([fit.slope, fit.plain]).numpy(), wanted, atol=1e-9)


def test_plain_columns_are_not_shrunk():
    x, plain, y, weight, blocks = lesson()
    more = np.array([[40.0, -7.0, 3.0], [2.0, 500.0, -1.0]])
    before = found((x, plain, y, weight, blocks), [0.5])
    after = found((x, plain, y + plain @ more, weight, blocks), [0.5])
    torch.testing.assert_close(after.slope, before.slope, atol=1e-9, rtol=0)
    torch.testing.assert_close(after.left, before.left, atol=1e-8, rtol=0)
    np.testing.assert_allclose((after.plain - before.plain).numpy(), more, atol=1e-9)
    alone = np.linalg.lstsq(plain * np.sqrt(weight)[:, None], y * np.sqrt(weight)[:, None], rcond=None)[0]
    crushed = found((x, plain, y, weight, blocks), [1e9])
    np.testing.assert_allclose(crushed.plain.numpy(), alone, atol=1e-6)


def test_every_output_gets_the_penalty_that_leaves_least():
    rng = np.random.default_rng(5)
    x, plain, y, weight, blocks = lesson(n=40, d=12)
    y[:, 0] = x @ rng.normal(size=12) + 0.001 * rng.normal(size=40)
    y[:, 1] = rng.normal(size=40)
    penalties = [1e-6, 0.03, 0.3, 100.0]
    parts = (x, plain, y, weight, blocks)
    each = [found(parts, [penalty]).left.numpy() for penalty in penalties]
    loss = np.array([(weight[:, None] * left**2).sum(0) for left in each])
    both = found(parts, penalties).left.numpy()
    best = loss.argmin(0)
    assert best[0] == 0
    assert best[1] == 3
    for k, choice in enumerate(best):
        np.testing.assert_allclose(both[:, k], each[choice][:, k], atol=1e-10)


def test_a_path_is_one_ridge_after_the_other():
    parts, penalties = lesson(), [1e-6, 0.05, 3.0]
    for fit, penalty in zip(
        path(*(torch.from_numpy(part) for part in parts), penalties), penalties, strict=True
    ):
        alone = found(parts, [penalty])
        for name in ("slope", "plain", "left"):
            torch.testing.assert_close(getattr(fit, name), getattr(alone, name))


def test_blocks_hold_every_clear_pixel_once_and_are_squares():
    dice = torch.Generator().manual_seed(0)
    clear = [torch.rand(7, 11, generator=dice) > 0.3, torch.rand(6, 3, generator=dice) > 0.5]
    clear[0][:3, :3] = False
    blocks = blocks_of(clear, 3)
    n = sum(int(mask.sum()) for mask in clear)
    assert blocks.shape[1] == 9
    named = blocks[blocks < n]
    assert named.sort().values.tolist() == list(range(n))
    assert bool((blocks <= n).all())
    assert bool((blocks < n).any(1).all())
    tile = torch.cat([torch.full((int(mask.sum()),), i) for i, mask in enumerate(clear)])
    square = torch.cat([mask.nonzero() // 3 for mask in clear])
    where = torch.cat([tile[:, None], square], 1)
    for block in blocks:
        assert len(where[block[block < n]].unique(dim=0)) == 1
    assert len(blocks) == len(where.unique(dim=0))


def test_stacked_weights_are_the_best_on_the_simplex():
    rng = np.random.default_rng(1)
    n = 300
    weight = rng.uniform(0.2, 2.0, n)
    common = rng.normal(size=(n, 3))
    size = np.array([[0.5, 1.0, 2.0], [0.6, 1.0, 0.5], [0.7, 1.0, 9.0]])
    left = np.stack([common * 0.4 + own * rng.normal(size=(n, 3)) for own in size])
    shares = stack([torch.from_numpy(own) for own in left], torch.from_numpy(weight)).numpy()
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(0), 1.0, atol=1e-9)
    steps = np.arange(0.0, 1.0 + 1e-9, 0.01)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9])
    for k in range(3):
        gram = (left[:, :, k] * weight) @ left[:, :, k].T
        least = np.einsum("ga,ab,gb->g", grid, gram, grid)
        mine = shares[:, k] @ gram @ shares[:, k]
        assert mine <= 1.001 * least.min()
        assert np.abs(shares[:, k] - grid[least.argmin()]).max() < 0.03
    assert shares[2, 2] < 0.02


@pytest.mark.parametrize("say", [0.0, 0.3, 1.0])
def test_errors_somewhere_else_have_their_share_of_the_say(say):
    rng = np.random.default_rng(3)
    here, there = (
        rng.normal(size=(3, 200)) * [[1.0], [2.0], [3.0]],
        rng.normal(size=(3, 80)) * [[3.0], [2.0], [1]],
    )
    parts = [torch.from_numpy(own)[:, None] for own in here]
    shares = stack(parts, torch.ones(200, dtype=torch.float64), torch.from_numpy(there @ there.T)[None], say)
    grams = [each @ each.T for each in (here, there)]
    grams = [gram / np.median(gram.diagonal()) for gram in grams]
    both = (1 - say) * grams[0] + say * grams[1] + 1e-3 * np.eye(3)
    free = np.linalg.solve(both, np.ones(3))
    np.testing.assert_allclose(shares[:, 0].numpy(), free / free.sum(), atol=2e-3)


def test_a_member_that_is_never_better_weighs_nothing_and_perfect_ones_do_no_harm():
    rng = np.random.default_rng(2)
    good = torch.from_numpy(rng.normal(size=(50, 2)))
    shares = stack([good, 3.0 * good], torch.ones(50, dtype=torch.float64))
    assert float(shares[1].max()) < 1e-6
    nothing = stack([0.0 * good, 0.0 * good], torch.ones(50, dtype=torch.float64))
    assert bool(torch.isfinite(nothing).all())
    assert float(nothing.min()) >= 0
