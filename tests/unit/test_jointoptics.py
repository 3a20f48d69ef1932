"""Joint optics: kernels that made the images are found from the images, whatever the problem states."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.method import Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.learning.jointoptics import JointOptics
from stsfusion.learning.sharedkernel import blurred_square
from stsfusion.methods.jointlr import JointLR
from stsfusion.operators.blur import Blur, bilinear_kernel, box_kernel, gaussian_kernel

_KERNELS = {
    "box": box_kernel,
    "gaussian": lambda ratio: gaussian_kernel(float(ratio), ratio),
    "triangle": bilinear_kernel,
    "narrow": lambda ratio: gaussian_kernel(0.7 * ratio, ratio),
}


def _textured(size: int) -> Problem:
    """The tiny scene, whose surfaces are squares, with texture down to single pixels."""
    problem = tiny_problem(size=size, dates=5)
    assert problem.truth is not None
    generator = torch.Generator().manual_seed(3)
    bright, green = (0.15 * torch.randn(1, 1, size, size, generator=generator) for _ in range(2))
    tilt = torch.linspace(-1.0, 1.0, problem.target.shape[1])[None, :, None, None]
    truth = problem.truth * (1.0 + bright + green * tilt).clamp_min(0.2)
    sharp = problem.observations["sharp"]
    noise = 0.001 * torch.randn(sharp.data.shape, generator=generator)
    told = replace(sharp, data=sharp.view(truth) + noise)
    return replace(problem.with_observations({"sharp": told}), truth=truth)


def _problem(kernel, told=None, noise: float = 0.001, size: int = 72, shifts=(0.0,) * 5) -> Problem:
    """What sensors of a kernel saw of the tiny scene's truth, and a view that may tell of another."""
    problem = _textured(size)
    assert problem.truth is not None
    seen = {}
    for role in ("rich", "dense"):
        own = problem.observations[role]
        image = own.view.spectral(own.view.temporal(problem.truth))
        generator = torch.Generator().manual_seed(7)
        low = []
        for date, one in zip(own.dates, image, strict=True):
            shape = (1, *one.shape)
            moved = (
                kernel(own.ratio)
                if not shifts[date]
                else gaussian_kernel(float(own.ratio), own.ratio, shift=(shifts[date], -shifts[date]))
            )
            low.append(Blur(moved, own.ratio, shape)(one[None])[0])
        data = torch.stack(low) + noise * torch.randn(own.data.shape, generator=generator)
        stated = own.view.spatial.kernel if told is None else told(own.ratio)
        view = replace(own.view, spatial=replace(own.view.spatial, kernel=stated))
        seen[role] = replace(own, data=data, view=view, noise=torch.full((data.shape[1],), noise))
    return problem.with_observations(seen)


def _apart(found: Tensor, true: Tensor) -> float:
    """Relative distance of two kernels, laid centre on centre."""
    size = max(len(found), len(true))
    one, other = (pad(k.double(), ((size - len(k)) // 2,) * 4) for k in (found, true))
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("name", _KERNELS)
def test_the_kernel_that_made_the_images_is_found(name):
    optics = JointOptics.learn([_problem(_KERNELS[name]).question()], "estimated")
    for role, ratio in (("rich", 3), ("dense", 2)):
        found = optics.kernels[role]
        assert _apart(found, _KERNELS[name](ratio)) < 0.1
        assert float(found.sum()) == pytest.approx(1.0, abs=1e-4)


def test_displacements_of_single_dates_do_not_widen_the_kernel():
    moved = _problem(_KERNELS["gaussian"], shifts=(0.6, -0.5, -0.6, 0.4, 0.5)).question()
    found = JointOptics.learn([moved], "estimated").kernels
    for role, ratio in (("rich", 3), ("dense", 2)):
        assert _apart(found[role], gaussian_kernel(float(ratio), ratio)) < 0.1


def test_noise_that_is_stated_nowhere_is_found_within_a_half():
    problem = _problem(_KERNELS["gaussian"], noise=0.004).question()
    mute = {role: replace(o, noise=None) for role, o in problem.observations.items()}
    found = JointOptics.learn([problem.with_observations(mute)], "given").noise
    assert 0.5 < float(found["rich"].median()) / 0.004 < 1.5
    assert 0.5 < float(found["dense"].median()) / 0.004 < 1.5


def test_a_square_behind_a_narrow_gaussian_is_a_box_and_a_wide_one_a_gaussian():
    size = 9
    assert _apart(blurred_square(3.0, 0.01, size).reshape(size, size), box_kernel(3)) < 1e-6
    wide = blurred_square(0.0, 3.0, size).reshape(size, size)
    assert _apart(wide, gaussian_kernel(3.0, 3)) < 0.01
    line = [blurred_square(share, 2.0, size).reshape(size, size)[4, 4] for share in (0.5, 1.5, 3.0)]
    assert all(a > b for a, b in pairwise(line))


def test_no_common_date_leaves_what_is_stated():
    problem = _problem(_KERNELS["box"]).question()
    dense, sharp = problem.require("dense", "sharp")
    apart = problem.with_observations({"dense": dense.select([1, 3]), "sharp": sharp.select([0, 2])})
    found = JointOptics.learn([apart], "estimated")
    assert set(found.kernels) == {"rich"}
    assert not JointOptics.learn([problem], "given").kernels


def test_what_the_problem_states_of_its_optics_does_not_matter():
    right, wrong = (
        _problem(_KERNELS["box"], told=told, size=48)
        for told in (box_kernel, lambda ratio: gaussian_kernel(2.0 * ratio, ratio))
    )
    assert right.truth is not None
    missing = [1, 3]

    def answer(problem: Problem, psf: str) -> Tensor:
        method = JointLR.example(psf=psf).fit([problem.question()])
        return method.fuse(problem.question()).full()

    def rmse(full: Tensor) -> float:
        return float((full - right.truth)[missing].square().mean().sqrt())

    blind, told, misled = answer(wrong, "estimated"), answer(right, "given"), answer(wrong, "given")
    assert torch.equal(blind, answer(right, "estimated"))
    assert rmse(blind) < 1.05 * rmse(told)
    assert rmse(misled) > 1.2 * rmse(told)


def test_the_halo_holds_the_kernel_that_was_found():
    wide = _problem(lambda ratio: gaussian_kernel(1.6 * ratio, ratio), told=box_kernel).question()
    geometry = Geometry.of(wide)
    method = JointLR.example()
    fitted = method.fit([wide])
    reach = (len(fitted.state["optics.kernel_rich"]) - 3) // 2
    assert reach > geometry.reach("rich")
    assert JointLR.example(psf="given").halo(geometry) < fitted.halo(geometry) <= method.halo(geometry)
