"""fsdaf against its equations written out in numpy, and where its model is the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from stsfusion.methods.coarsedelta import CoarseDelta
from stsfusion.methods.fsdaf import FSDAF
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import blocks
from stsfusion.testing import fuse_tiled, tiny_problem

RADIUS, SIMILAR, CLASSES, PUREST, TRIM = 4, 6, 3, 20, 0.1


def block_means(image, ratio):
    rows, cols = image.shape[-2:]
    cut = image.reshape(*image.shape[:-2], rows // ratio, ratio, cols // ratio, ratio)
    return cut.mean((-3, -1))


def spread_out(image, ratio):
    return np.kron(image, np.ones((ratio, ratio)))


def bent(image, ratio, reach=4):
    """(y, x) thin plate through the neighbourhood of every coarse pixel."""
    rows, cols = image.shape
    wide = np.pad(image, reach, mode="edge")
    axis = np.arange(-reach, reach + 1)
    knots = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    place = (np.arange(ratio) + 0.5) / ratio - 0.5
    asked = np.stack(np.meshgrid(place, place, indexing="ij"), -1).reshape(-1, 2)
    out = np.zeros((rows * ratio, cols * ratio))
    for y, x in np.ndindex(rows, cols):
        values = wide[y : y + 2 * reach + 1, x : x + 2 * reach + 1].ravel()
        spline = RBFInterpolator(knots, values, kernel="thin_plate_spline", degree=1)
        out[y * ratio : (y + 1) * ratio, x * ratio : (x + 1) * ratio] = spline(asked).reshape(ratio, ratio)
    return out


def changes(shares, change):
    """(k, b) least squares over the usual ones of the purest pixels, leaning on the mean change."""
    out = np.zeros((len(shares), len(change)))
    for band, seen in enumerate(change):
        used = set()
        for share in shares:
            best = [i for i in range(len(share)) if share[i] >= np.sort(share)[-PUREST] and share[i] > 0]
            low, high = np.quantile(seen[best], [TRIM, 1 - TRIM]) if len(best) >= 10 else (-np.inf, np.inf)
            used |= {i for i in best if low <= seen[i] <= high}
        rows = sorted(used)
        lean = np.sqrt(1e-4 * len(rows)) * np.eye(len(shares))
        aim = np.concatenate([seen[rows] - seen[rows].mean(), np.zeros(len(shares))])
        out[:, band] = np.linalg.lstsq(np.concatenate([shares[:, rows].T, lean]), aim, rcond=None)[0]
        out[:, band] += seen[rows].mean()
    return out


def same_class(labels, size):
    """(y, x) share of the window that is of the middle's class."""
    out = np.zeros(labels.shape)
    half = size // 2
    for y, x in np.ndindex(labels.shape):
        cut = labels[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
        out[y, x] = np.mean(cut == labels[y, x])
    return out


def filtered(change, fine, labels, scale):
    """(b, y, x) means over the pixels of the class that are most alike."""
    out = np.zeros_like(change)
    rows, cols = labels.shape
    for y, x in np.ndindex(rows, cols):
        found = []
        for v in range(max(0, y - RADIUS), min(rows, y + RADIUS + 1)):
            for u in range(max(0, x - RADIUS), min(cols, x + RADIUS + 1)):
                if labels[v, u] == labels[y, x]:
                    unlike = np.sum(np.abs(fine[:, v, u] - fine[:, y, x]) / scale)
                    found.append((unlike, np.hypot(v - y, u - x), v, u))
        best = sorted(found)[:SIMILAR]
        weights = np.array([1 / (1 + apart / RADIUS) for _, apart, _, _ in best])
        out[:, y, x] = weights @ np.stack([change[:, v, u] for _, _, v, u in best]) / weights.sum()
    return out


def by_hand(problem, centres):
    """(b, y, x) of the middle date of three, from the two others, with (k, b) centres of classes."""
    ratio = problem.dense.ratio
    fine = problem.sharp.data.double().numpy()
    scale = fine.swapaxes(0, 1).reshape(fine.shape[1], -1).std(1)
    base = fine.mean(0)
    dense = problem.dense.data.double().numpy()
    step = dense[1] - (dense[0] + dense[2]) / 2
    apart = [(((base / scale[:, None, None]) - one[:, None, None]) ** 2).sum(0) for one in centres]
    labels = np.argmin(apart, axis=0)
    shares = np.stack([block_means((labels == k).astype(float), ratio).ravel() for k in range(len(centres))])
    table = changes(shares, step.reshape(len(step), -1))
    uniform = same_class(labels, ratio | 1)
    total = []
    for band, moved in enumerate(table.T):
        temporal = base[band] + moved[labels]
        left = spread_out(step[band] - block_means(moved[labels], ratio), ratio)
        weight = (bent(dense[1, band], ratio) - temporal) * uniform + left * (1 - uniform)
        weight = np.where(weight * left > 0, np.abs(weight), 0.0) + 0.1 * np.abs(left)
        share = weight / spread_out(block_means(weight, ratio), ratio)
        total.append(moved[labels] + left * share)
    return base + filtered(np.stack(total), base, labels, scale)


@pytest.mark.parametrize("ratio", [2, 3])
def test_equals_the_equations(ratio):
    problem = tiny_problem(size=48, dates=3, multispectral=True, ratios=(3, ratio)).question()
    method = FSDAF(classes=CLASSES, purest=PUREST, trim=TRIM, radius=RADIUS, similar=SIMILAR)
    fitted = method.fit([problem])
    day = fitted.state["own.days"].tolist().index(16.0)
    expected = by_hand(problem, fitted.state["own.centres"][day].double().numpy())
    off = np.abs(fitted.fuse(problem).full()[1].numpy() - expected)
    assert np.quantile(off, 0.999) < 1e-4
    assert np.sqrt(np.mean(off**2)) < 1e-4


def patchwork(ratio):
    """A problem whose land is of three uniform classes, each of which changes in its own way, and truth."""
    problem = tiny_problem(size=72, dates=3, multispectral=True, ratios=(3, ratio)).question()
    dice = torch.Generator().manual_seed(4)
    labels = blocks(torch.randint(3, (15, 15), generator=dice), 5)[:72, :72]
    spectra = torch.tensor([[0.05, 0.08, 0.1, 0.3], [0.1, 0.15, 0.2, 0.25], [0.3, 0.3, 0.35, 0.4]])
    grown = torch.tensor([[0.0, 0.01, 0.0, 0.2], [0.05, 0.0, 0.05, -0.1], [0.0, 0.0, 0.0, 0.0]])
    truth = torch.stack([(spectra + share * grown).T[:, labels] for share in (0.0, 1.0, 0.2)])
    box = torch.full((ratio, ratio), 1.0 / ratio**2, dtype=torch.float64)
    view = Degradation.of(problem.target.shape, kernel=box, ratio=ratio)
    dense = replace(problem.dense, data=view(truth), view=view)
    sharp = replace(problem.sharp, data=truth[[0, 2]])
    return problem.with_observations({"dense": dense, "sharp": sharp}), truth


def test_finds_what_changes_class_by_class():
    problem, truth = patchwork(4)
    errors = [
        float((method.fit([problem]).fuse(problem).full()[1] - truth[1]).square().mean().sqrt())
        for method in (FSDAF(classes=3, radius=8), CoarseDelta())
    ]
    assert errors[0] < 0.002 < 0.02 < errors[1]


@pytest.mark.parametrize(("ratio", "radius", "similar"), [(2, 2, 4), (3, 3, 9), (6, 6, 20)])
def test_the_search_is_as_wide_as_a_coarse_pixel(ratio, radius, similar):
    problem = tiny_problem(size=48, dates=3, multispectral=True, ratios=(3, ratio)).question()
    own, said = (
        FSDAF(classes=3, **more).fit([problem]).fuse(problem).full()
        for more in ({}, {"radius": radius, "similar": similar})
    )
    assert torch.equal(own, said)


def test_another_seed_may_sort_otherwise_and_the_same_never():
    problem = tiny_problem(size=48, dates=3, multispectral=True).question()
    centres = [FSDAF.example(seed=seed).fit([problem]).state["own.centres"] for seed in (0, 0, 1)]
    assert torch.equal(centres[0], centres[1])
    assert not torch.equal(centres[0], centres[2])


def test_resampled_coarse_images_have_no_seams():
    problem = tiny_problem(size=96, dates=3, multispectral=True, ratios=(3, 1)).question()
    method = FSDAF.example(coarse=6).fit([problem])
    whole = method.fuse(problem).full()
    assert float((fuse_tiled(method, problem, 24) - whole).abs().max()) < 1e-5


def test_dates_that_were_not_learned_take_the_nearest_ones():
    problem = tiny_problem(size=48, dates=5, multispectral=True).question()
    fitted = FSDAF.example().fit([problem.with_observations({"dense": problem.dense.select([0, 1, 2])})])
    assert 48.0 not in fitted.state["own.days"].tolist()
    assert bool(torch.isfinite(fitted.fuse(problem).full()).all())
