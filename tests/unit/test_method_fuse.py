"""fuse against the whole posterior written out in numpy, and against the slope of what it minimises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.fusion.method import Geometry
from stsfusion.learning.subspace import Subspace
from stsfusion.methods.fuse import FUSE
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.pairmodel import PairModel
from stsfusion.testing import fuse_tiled, tiny_problem

RANK = 4


def seen_through(kernel, *, size=48, ratio=3, bands=10, noise=0.0, seed=0):
    """A problem of one date whose hyperspectral image was made with this kernel; no word of the noise."""
    problem = tiny_problem(size=size, bands=bands, dates=1, ratios=(ratio, 2), seed=seed)
    blur = replace(problem.rich.view.spatial, kernel=kernel)
    rich = replace(problem.rich, view=replace(problem.rich.view, spatial=blur), noise=None)
    sharp = replace(problem.sharp, noise=None)
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for role, one in (("rich", rich), ("sharp", sharp)):
        clean = one.view(problem.truth)
        made[role] = replace(one, data=clean + noise * torch.randn(clean.shape, generator=generator))
    return problem.with_observations(made)


def regressed(x, y):
    """Residuals of the columns of y on those of x and a constant."""
    design = np.column_stack([x, np.ones(len(x))])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def texture(y):
    """(l,) noise variance: what the finest texture of the other bands leaves of a band's."""
    mask = np.outer([1, -2, 1], [1, -2, 1])
    windows = np.lib.stride_tricks.sliding_window_view(y, (3, 3), (1, 2))
    rough = (windows * mask).sum((3, 4)).reshape(len(y), -1).T
    found = []
    for b in range(len(y)):
        others = np.delete(rough, b, 1)
        weights = np.linalg.lstsq(others, rough[:, b], rcond=None)[0]
        left = ((rough[:, b] - others @ weights) ** 2).mean()
        found.append(left / 36 / (1 + (weights**2).sum()))
    return np.array(found)


def weights_by_hand(space, response, low, z, y, left, kernel):
    """Λz (L, L) in full, Λy (l,) and the prior's variance."""
    basis, mean = space["basis"].T, space["mean"]
    floor = (1e-4**2) * (z**2).mean()
    scores = (z - mean) @ space["analysis"]
    outside = ((z - mean - scores @ basis.T) ** 2).mean(0)
    untold = (regressed(scores, low) ** 2).sum(0) / (len(z) - RANK - 1)
    share = untold.sum() / low.var(0).sum()
    lz = np.diag(space["noise"] ** 2 + outside + floor) + share * basis @ basis.T
    misfit = ((low - z @ response.T) ** 2).mean(0)
    hidden = np.minimum(untold / (kernel**2).sum(), texture(y))
    ly = np.maximum(misfit - untold, 0) + hidden + floor
    missed = np.maximum((left**2).mean((1, 2)) - ly, 0).sum()
    return lz, ly, missed / ((response @ basis) ** 2).sum()


def by_hand(problem, method, kernel):
    """(L, H, W) of blocks that do not overlap: the posterior mean of every block from dense matrices."""
    state, ratio = method.state, problem.rich.ratio
    space = {name: state[f"0.{name}"].double().numpy() for name in ("mean", "basis", "analysis", "noise")}
    response = state["0.model.response"].double().numpy()
    z, y = (one.data[0].double().numpy() for one in (problem.rich, problem.sharp))
    basis, mean = space["basis"].T, space["mean"][:, None, None]
    start = enlarged(np.tensordot(space["analysis"].T, z - mean, 1), ratio)
    level = np.tensordot(response, mean[:, 0, 0], 1)[:, None, None]
    left = y - level - np.tensordot(response @ basis, start, 1)
    flat = (blurred(y, kernel, ratio).reshape(len(y), -1).T, z.reshape(len(z), -1).T)
    lz, ly, prior = weights_by_hand(space, response, *flat, y, left, kernel)
    out = np.zeros((len(z), *y.shape[1:]))
    seen = np.kron(basis, kernel.reshape(1, -1))
    fine = np.kron(response @ basis, np.eye(ratio**2))
    told_z, told_y = seen.T @ np.linalg.inv(lz), fine.T / np.repeat(ly, ratio**2)
    gram = told_z @ seen + told_y @ fine + np.eye(seen.shape[1]) / prior
    for i in range(z.shape[1]):
        for j in range(z.shape[2]):
            cut = (slice(None), slice(i * ratio, i * ratio + ratio), slice(j * ratio, j * ratio + ratio))
            first = start[cut].reshape(-1)
            dz, dy = z[:, i, j] - mean[:, 0, 0] - seen @ first, left[cut].reshape(-1)
            u = (first + np.linalg.solve(gram, told_z @ dz + told_y @ dy)).reshape(RANK, -1)
            out[cut] = (basis @ u).reshape(-1, ratio, ratio) + mean
    return out


@pytest.mark.parametrize("kernel, noise", [(box_kernel(3), 0.0), (box_kernel(3), 0.01), ("steep", 0.005)])
def test_equals_the_posterior_by_hand(kernel, noise):
    if isinstance(kernel, str):
        kernel = torch.outer(torch.tensor([0.2, 0.6, 0.2]), torch.tensor([0.1, 0.8, 0.1])).double()
    problem = seen_through(kernel, noise=noise).question()
    method = FUSE(psf="given", rank=RANK).fit([problem])
    fused = method.fuse(problem).full()[0].double().numpy()
    assert float(method.state["0.margin"]) == 0
    expected = by_hand(problem, method, kernel.numpy())
    plain = enlarged(problem.rich.data[0].double().numpy(), 3)
    assert np.sqrt(np.mean((fused - expected) ** 2)) < 0.005 * np.sqrt(np.mean((expected - plain) ** 2))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.3)])
def test_the_slope_of_the_plain_function_vanishes(shift):
    kernel = gaussian_kernel(3.0, 3, shift).double()
    problem = seen_through(kernel, noise=0.003).question()
    method = FUSE(psf="given", rank=RANK, prior="plain", weight=1e-2).fit([problem])
    pair = method.pair(problem, problem.rich.data[0], 0)
    pair = replace(pair, coarse=pair.coarse.double(), fine=pair.fine.double())
    state = {name.removeprefix("0."): tensor.double() for name, tensor in method.state.items()}
    model = PairModel.of({n.removeprefix("model."): t for n, t in state.items() if n.startswith("model.")})
    space = Subspace.of(state)
    scores = torch.tensordot(space.analysis.T, pair.coarse - space.mean[:, None, None], 1)
    before = torch.tensordot(space.basis.T, model.upsample(scores), 1) + space.mean[:, None, None]

    def slope(image):
        """In the directions of the subspace."""
        u = torch.zeros(RANK, 48, 48, dtype=torch.float64, requires_grad=True)
        x = image + torch.tensordot(space.basis.T, u, 1)
        told = (pair.coarse - model.lowpass(x)).square().sum()
        told = told + (pair.fine - torch.tensordot(model.response, x, 1)).square().sum()
        (told + 1e-2 * (x - before).square().sum()).backward()
        return u.grad[:, 18:-18, 18:-18].abs().max()

    after = method.sharpen(pair, model, state)
    assert float(slope(after)) < 5e-4 * float(slope(before))
    assert float(slope(after + 0.1 * space.basis[0][:, None, None])) > 1e-2 * float(slope(before))


class Nearsighted(FUSE):
    """Looks no further than a pixel."""

    def context(self, ratio, reach):
        return 1


def test_tiles_of_a_large_scene_are_the_whole():
    problem = tiny_problem(size=192, bands=12, dates=1, ratios=(4, 2), gaps=True)
    method = FUSE(rank=6).fit([problem.question()])
    whole = method.fuse(problem.question()).full()
    step = float((fuse_tiled(method, problem, 48) - whole).abs().max())
    assert step <= method.card.seam
    assert method.halo(Geometry.of(problem)) < 96
    near = Nearsighted(rank=6, passes=0).with_state(method.state)
    assert float((fuse_tiled(near, problem, 48) - whole).abs().max()) > method.card.seam


def quality(problem, method):
    """Root mean square error, of plain upsampling and of the method."""
    fused = method.fit([problem.question()]).fuse(problem.question()).full()
    plain = enlarged(problem.rich.data[0].numpy(), problem.rich.ratio)
    truth = problem.truth.numpy()
    return [float(np.sqrt(np.mean((x - truth) ** 2))) for x in (plain, fused.numpy())]


def test_a_wrong_kernel_is_noticed_and_softens_the_coarse_image():
    centre = torch.zeros(4, 4, dtype=torch.float64)
    centre[1:3, 1:3] = 0.25
    problem = seen_through(centre, ratio=4, noise=0.001)
    plain, assumed = quality(problem, FUSE(psf="box"))
    _, estimated = quality(problem, FUSE())
    assert estimated < 0.6 * assumed
    assert assumed < 0.8 * plain
    said = FUSE(psf="box").fit([problem.question()]).state["0.coarse_gain"]
    right = FUSE().fit([problem.question()]).state["0.coarse_gain"]
    assert float(said.norm()) < 0.5 * float(right.norm())


@pytest.mark.parametrize("factor", [1e4, 1e-3])
def test_units_do_not_matter(factor):
    problem = seen_through(gaussian_kernel(3.0, 3), noise=0.002).question()
    scaled = problem.with_observations(
        {role: replace(one, data=one.data * factor) for role, one in problem.observations.items()}
    )
    plain, large = (FUSE().fit([p]).fuse(p).full() for p in (problem, scaled))
    torch.testing.assert_close(large / factor, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("level", [0.0, 0.2])
def test_a_scene_without_any_contrast_stays_what_it_is(level):
    problem = tiny_problem(size=48, dates=1, bands=8).question()
    flat = problem.with_observations(
        {
            role: replace(one, data=torch.full_like(one.data, level))
            for role, one in problem.observations.items()
        }
    )
    fused = FUSE(psf="given").fit([flat]).fuse(flat).full()
    assert float((fused - level).abs().max()) < 1e-4
