"""Where the sensor model comes from, kind by kind, and when the sharp image is moved."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pairscenes import believed, changed, pair_of, pair_problem
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Problem
from stsfusion.learning.pairing import block_gaussian, model_for
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.hysure_estimate import estimate_hysure, hysure_response
from stsfusion.operators.overlap import Overlap
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.translate import translate


def settled(problem: Problem, psf: str) -> PairModel:
    bands, fine = problem.rich.data.shape[1], problem.sharp.data.shape[1]
    live, used = torch.ones(bands, dtype=torch.bool), torch.ones(fine, dtype=torch.bool)
    return model_for(psf, [pair_of(problem)], problem.rich, problem.sharp, live, used)  # type: ignore[arg-type]


def whole(problem: Problem) -> Overlap:
    """The coarse pixels whose widest support is inside."""
    pair = pair_of(problem)
    return Overlap(pair.coarse, pair.fine, pair.clear)


def displaced(offset: tuple[float, float], registered: bool, ratio: int = 3) -> Problem:
    """A sharp image that lies off its place."""

    def away(seen):
        return replace(seen, data=translate(seen.data[0], (-offset[0], -offset[1]))[None])

    return changed(pair_problem(size=(72, 72), ratio=ratio, registered=registered), sharp=away)


def test_a_box_and_a_gaussian_are_as_wide_as_the_ratio():
    problem = pair_problem(size=(48, 48), ratio=4)
    box, gaussian = (settled(problem, psf) for psf in ("box", "gaussian"))
    assert torch.equal(box.kernel, box_kernel(4))
    places = [-1.5, -0.5, 0.5, 1.5]
    plain = torch.tensor([[2.0 ** (-4 * (y * y + x * x) / 16) for x in places] for y in places])
    torch.testing.assert_close(gaussian.kernel, (plain / plain.sum()).double(), rtol=1e-4, atol=0)
    for model in (box, gaussian):
        assert torch.equal(model.response, hysure_response([whole(problem)], pair_of(problem).coverage, 4))
        assert not model.moved.any()


@pytest.mark.parametrize("ratio", [2, 3, 5, 8])
def test_a_block_gaussian_has_unit_sum_and_its_centre_in_the_middle(ratio):
    kernel = block_gaussian(ratio, ratio / 2.3548)
    assert float(kernel.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(kernel, kernel.flip(0, 1))
    torch.testing.assert_close(kernel, kernel.T)


def test_images_that_were_taken_for_each_other_are_refused():
    problem = pair_problem(size=(24, 24))
    pair = pair_of(problem)
    swapped = replace(pair, coarse=pair.fine, fine=pair.coarse, ratio=1)
    with pytest.raises(ProblemError, match=r"got 8 × 8 and 24 × 24 .*\nSwap the two cubes"):
        model_for("estimated", [swapped], problem.sharp, problem.rich, *(torch.ones(1) > 0,) * 2)


def test_hysure_is_its_estimator():
    problem = pair_problem(size=(48, 48))
    found = settled(problem, "hysure")
    plain = estimate_hysure([whole(problem)], pair_of(problem).coverage, 3)
    torch.testing.assert_close(found.kernel, plain.kernel)
    torch.testing.assert_close(found.response, plain.response)


def test_given_is_the_problems_own():
    kernel = gaussian_kernel(4.0, 3, shift=(0.5, 0.0))
    problem = pair_problem(size=(48, 48), kernel=kernel, noise=0.0)
    found = settled(problem, "given")
    assert torch.equal(found.kernel, kernel)
    assert torch.equal(found.response, problem.sharp.view.spectral.matrix)
    inner = found.lowpass(problem.sharp.data[0].double())
    told = torch.tensordot(found.response, problem.rich.data[0].double(), 1)
    expected = (inner - told).square().mean((1, 2)).sqrt()
    torch.testing.assert_close(found.misfit.double(), expected, rtol=1e-3, atol=1e-7)


def test_given_without_a_response_estimates_one_for_the_given_kernel():
    kernel = gaussian_kernel(4.0, 3)
    problem = believed(pair_problem(size=(60, 60), kernel=kernel, known=False, noise=0.0))
    found = settled(problem, "given")
    assert torch.equal(found.kernel, kernel)
    assert not torch.equal(found.response, problem.sharp.view.spectral.matrix)
    coverage = pair_of(problem).coverage
    assert not found.response[~coverage].any()
    assert float(found.misfit.max()) < 1e-3


def test_a_point_spread_function_that_is_not_known_cannot_be_given():
    with pytest.raises(ProblemError, match=r"setting 'psf': expected a stated point spread function"):
        settled(pair_problem(size=(36, 36), known=False), "given")


@pytest.mark.parametrize("psf", ["estimated", "box", "gaussian", "hysure"])
def test_nobody_else_looks_at_the_problems_kernel(psf):
    one = pair_problem(size=(36, 36))
    spatial = replace(one.rich.view.spatial, kernel=box_kernel(3))
    other = changed(one, rich=lambda seen: replace(seen, view=replace(seen.view, spatial=spatial)))
    for name, tensor in settled(one, psf).tensors().items():
        assert torch.equal(tensor, settled(other, psf).tensors()[name])


def test_given_would_be_seen_to_look():
    one, other = (pair_problem(kernel=kernel, seed=0) for kernel in (gaussian_kernel(3, 3), box_kernel(3)))
    assert settled(one, "given").kernel.shape != settled(other, "given").kernel.shape


def test_one_band_and_bands_left_out_keep_their_places():
    problem = pair_problem(size=(36, 36), known=True)
    live, used = torch.ones(12, dtype=torch.bool), torch.tensor([True, False, True, True])
    live[[0, 5]] = False
    pair = pair_of(problem)
    less = replace(
        pair, coarse=pair.coarse[live], fine=pair.fine[used], coverage=pair.coverage[used][:, live]
    )
    found = model_for("given", [less], problem.rich, problem.sharp, live, used)
    assert torch.equal(found.response, problem.sharp.view.spectral.matrix[used][:, live])


# ---------------------------------------------------------------- registration


@pytest.mark.parametrize("offset", [(0.6, -0.3), (-0.6, 0.6), (2.3, -3.4)])
def test_an_image_of_unknown_place_is_moved_to_where_it_belongs(offset):
    found = settled(displaced(offset, registered=False), "estimated")
    assert found.moved.tolist() == pytest.approx(offset, abs=0.1)
    assert found.centre == pytest.approx((0.0, 0.0), abs=0.1)


def test_an_image_whose_place_is_known_is_left_there():
    found = settled(displaced((0.6, -0.3), registered=True), "estimated")
    assert not found.moved.any()
    assert found.centre == pytest.approx((0.6, -0.3), abs=0.1)


def test_what_is_in_place_is_not_interpolated():
    found = settled(pair_problem(size=(72, 72), registered=False, noise=0.0), "estimated")
    assert found.moved.tolist() == pytest.approx([0.0, 0.0], abs=0.02)


# ---------------------------------------------------------------- gaps


def hidden(problem: Problem, under: float) -> Tensor:
    """The estimate of a problem with a gap in the sharp image, and something under it."""
    pair = pair_of(problem)
    known = pair.known.clone()
    known[20:31, 15:26] = False
    fine = torch.where(known, pair.fine, under)
    live, used = torch.ones(12, dtype=torch.bool), torch.ones(4, dtype=torch.bool)
    gappy = replace(pair, fine=fine, known=known)
    return model_for("estimated", [gappy], problem.rich, problem.sharp, live, used).kernel


def test_what_lies_under_a_gap_is_not_seen():
    problem = pair_problem(size=(72, 72))
    assert torch.equal(hidden(problem, 0.0), hidden(problem, 1e3))
