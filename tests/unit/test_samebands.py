"""A dense series in the sharp sensor's bands: by regression, or as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from references import blurred

from stsfusion.errors import ProblemError
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Problem
from stsfusion.learning.samebands import SameBands
from stsfusion.operators.degradation import Degradation


def shape_of(problem: Problem):
    time, _, rows, cols = problem.target.shape
    return time, len(problem.sharp.view.spectral.matrix), rows, cols


def twin_bands(problem: Problem, **view: object) -> Problem:
    """With a dense sensor that responds as the sharp one does."""
    dense, matrix = problem.dense, problem.sharp.view.spectral.matrix
    made = Degradation.of(
        problem.target.shape,
        spectral=matrix,
        kernel=dense.view.spatial.kernel,
        ratio=dense.ratio,
        **view,
    )
    return problem.with_observations(
        {"dense": replace(dense, data=made(problem.truth), view=made, noise=None)}
    )


def test_other_bands_become_the_sharp_sensors():
    problem = tiny_problem(size=72)
    bands = SameBands.learn([problem.question()], "chain")
    series = bands.series(problem.dense, shape_of(problem))
    wanted = torch.einsum("sb,tbyx->tsyx", problem.sharp.view.spectral.matrix.float(), problem.truth)
    wanted = problem.dense.view.spatial.with_shape(tuple(wanted.shape))(wanted)
    assert series.data.shape == wanted.shape
    assert float((series.data - wanted).square().mean().sqrt()) < 0.004
    assert float((series.data - wanted).abs().max()) < 0.03
    assert series.view.out_shape == tuple(wanted.shape)
    assert series.noise.shape == (4,)


def test_the_regression_sees_the_sharp_image_as_the_dense_sensor_would():
    problem = tiny_problem(size=24, dates=1)
    low = blurred(problem.sharp.data[0].numpy(), problem.dense.view.spatial.kernel.numpy(), 2)
    bands = SameBands.learn([problem.question()], "chain")
    told = bands.series(problem.dense, shape_of(problem)).data[0]
    assert float((told - torch.from_numpy(low)).abs().mean()) < 0.003


def test_equal_responses_are_left_alone():
    problem = twin_bands(tiny_problem())
    bands = SameBands.learn([problem.question()], "chain")
    assert bands.match is None
    assert torch.equal(bands.series(problem.dense, shape_of(problem)).data, problem.dense.data)
    told = SameBands.learn([twin_bands(tiny_problem(), known=False).question()], "chain")
    assert told.match is not None


def test_an_unknown_kernel_is_not_looked_at():
    problem = tiny_problem().question()

    def told(width: float) -> torch.Tensor:
        spatial = problem.dense.view.spatial
        kernel = torch.zeros_like(spatial.kernel)
        kernel[len(kernel) // 2 - 1 : len(kernel) // 2 + 1, 0] = width
        spatial = replace(spatial, kernel=kernel, known=False)
        dense = replace(problem.dense, view=replace(problem.dense.view, spatial=spatial))
        bands = SameBands.learn([problem.with_observations({"dense": dense})], "chain")
        return bands.series(dense, shape_of(problem)).data

    assert torch.equal(told(0.5), told(3.0))


def test_clouds_and_dead_bands_are_not_learned_from():
    problem = tiny_problem(size=72).question()
    clean = SameBands.learn([problem], "chain").series(problem.dense, shape_of(problem)).data
    sharp, dense = (seen.valid.expand(seen.data.shape).clone() for seen in (problem.sharp, problem.dense))
    sharp[1, :, 20:40, 20:40], dense[:, 4], dense[2, :, :9, :9] = False, False, False
    spoilt = problem.with_observations(
        {
            "sharp": replace(problem.sharp, valid=sharp, data=torch.where(sharp, problem.sharp.data, 99.0)),
            "dense": replace(problem.dense, valid=dense, data=torch.where(dense, problem.dense.data, -99.0)),
        }
    )
    bands = SameBands.learn([spoilt], "chain")
    series = bands.series(spoilt.dense, shape_of(problem))
    assert bands.live.tolist() == [True, True, True, True, False]
    assert series.valid.shape == (5, 1, 36, 36)
    assert not series.valid[2, 0, :9, :9].any()
    assert bool(series.valid[2, 0, 9:].all())
    off = (series.data - clean).abs() * series.valid
    assert float(off.max()) < 0.03
    assert torch.equal(
        SameBands.of(bands.tensors()).series(spoilt.dense, shape_of(problem)).data, series.data
    )


def test_no_date_that_both_saw_is_refused():
    problem = tiny_problem().question()
    apart = problem.with_observations({"dense": problem.dense.select([1, 3])})
    with pytest.raises(ProblemError, match="'sharp' and 'dense' both saw, to match their bands, got none"):
        SameBands.learn([apart], "chain")
