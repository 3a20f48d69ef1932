"""Scores one scale coarser: the hyperspectral image is the truth, and every method is asked anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engines import Bench

from stsfusion.fusion.wald import coarsen
from stsfusion.methods.bicubic import Bicubic
from stsfusion.pipeline.coarser import coarser_window, scores_coarser
from stsfusion.quality.metrics import RMSE
from stsfusion.testing import tiny_problem


def silent(done, what):
    pass


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarser")
    bench = Bench.of(tiny_problem(size=72, bands=6, dates=3), folder)
    return bench.problem, bench.plan(Bicubic(), folder / "fused.zarr", 24)


def test_the_answer_is_held_against_what_the_rich_sensor_saw(plan):
    problem, drafted = plan
    window = coarser_window(drafted, 24)
    assert (window.rows, window.cols) == ((0, 72), (0, 72))
    (row,) = scores_coarser(drafted, (), window, silent)
    wald = coarsen(problem)
    answer = Bicubic().fuse(wald.problem).full()[wald.labels.dates]
    valid = wald.labels.valid.expand(wald.labels.data.shape)
    plain = RMSE(answer, wald.labels.data, valid=valid)
    assert (row["method"], row["subset"], row["dates"]) == ("bicubic", "coarser", len(wald.labels.dates))
    assert row["rmse"] == pytest.approx(plain, rel=1e-5)
    assert row["coverage90"] is None
    assert row["fuse_s"] >= 0


def test_a_method_that_fails_is_told_and_stops_no_other(plan):
    _, drafted = plan
    blind = replace(drafted, sources=tuple(s for s in drafted.sources if s.role == "rich"))
    first, second = scores_coarser(blind, ["gsa"], coarser_window(blind, 12), silent)
    assert first["rmse"] > 0
    assert "sharp" in second["error"]


def test_a_window_that_cannot_be_coarsened_is_told(plan):
    (row,) = scores_coarser(plan[1], ["gsa"], coarser_window(plan[1], 4), silent)
    assert "larger area" in row["error"]


def test_pixels_that_are_all_alike_have_no_coarser_scale(plan):
    kernel = np.ones((1, 1))
    sources = tuple(replace(source, ratio=1, kernel=kernel) for source in plan[1].sources)
    alike = replace(plan[1], sources=sources)
    assert scores_coarser(alike, (), coarser_window(alike, 24), silent) == []
