"""Scores one scale coarser: the hyperspectral image is the truth, and every method is asked anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engines import Bench
from pairscenes import pair_problem
from trials import in_this_process

from stsfusion.fusion.wald import coarsen, hide
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.methods.lineartime import LinearTime
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.pipeline import contest
from stsfusion.pipeline.coarser import coarser_window, scores_coarser
from stsfusion.pipeline.trial import attempt
from stsfusion.quality.metrics import RMSE
from stsfusion.testing import tiny_problem


def silent(done, what):
    pass


class Counted:
    """Trials, each noted with the folder where a training writes down how far it is; one is cut off."""

    def __init__(self, monkeypatch, cut_off=None):
        self.tried, self.cut_off = [], cut_off
        monkeypatch.setattr(contest, "attempt", self)

    def __call__(self, question, settings, tick, learning):
        self.tried.append((settings["name"], learning))
        if len(self.tried) == self.cut_off:
            (learning / "begun").mkdir(parents=True)
            raise KeyboardInterrupt
        return attempt(question, settings, tick, learning)


def unpriced(rows):
    return [{key: value for key, value in row.items() if key not in contest.COST} for row in rows]


@pytest.fixture(scope="module", autouse=True)
def trials_here():
    with in_this_process():
        yield


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarser")
    bench = Bench.of(tiny_problem(size=72, bands=6, dates=3), folder)
    return bench.problem, bench.plan(Bicubic(), folder / "fused.zarr", 24)


def test_the_answer_is_held_against_what_the_rich_sensor_saw(plan, tmp_path):
    problem, drafted = plan
    window = coarser_window(drafted, 24)
    assert (window.rows, window.cols) == ((0, 72), (0, 72))
    (row,), dates = scores_coarser(drafted, (), window, silent, cache=tmp_path / "rows")
    wald = coarsen(problem)
    answer = Bicubic().fuse(wald.problem).full()[wald.labels.dates]
    valid = wald.labels.valid.expand(wald.labels.data.shape)
    plain = RMSE(answer, wald.labels.data, valid=valid)
    assert (row["method"], row["subset"], row["dates"]) == ("bicubic", "coarser", len(wald.labels.dates))
    assert row["rmse"] == pytest.approx(plain, rel=1e-5)
    assert row["coverage90"] is None
    assert row["fuse_s"] >= 0
    assert [(each["date"], each["subset"]) for each in dates] == [(d, "observed") for d in wald.labels.dates]
    assert np.mean([each["psnr"] for each in dates]) == pytest.approx(row["psnr"], rel=1e-9)


def test_a_method_that_fails_is_told_and_stops_no_other(plan, tmp_path):
    _, drafted = plan
    blind = replace(drafted, sources=tuple(s for s in drafted.sources if s.role == "rich"))
    (first, second), _ = scores_coarser(
        blind, ["gsa"], coarser_window(blind, 12), silent, cache=tmp_path / "rows"
    )
    assert first["rmse"] > 0
    assert "sharp" in second["error"]


def test_a_window_that_cannot_be_coarsened_is_told(plan, tmp_path):
    (row,), _ = scores_coarser(plan[1], ["gsa"], coarser_window(plan[1], 4), silent, cache=tmp_path / "rows")
    assert "larger area" in row["error"]


def test_pixels_that_are_all_alike_have_no_coarser_scale(plan, tmp_path):
    kernel = np.ones((1, 1))
    sources = tuple(replace(source, ratio=1, kernel=kernel) for source in plan[1].sources)
    alike = replace(plan[1], sources=sources)
    assert scores_coarser(alike, (), coarser_window(alike, 24), silent, cache=tmp_path / "rows") == ([], [])


def test_hidden_dates_are_asked_for_one_by_one(tmp_path):
    bench = Bench.of(tiny_problem(size=72, bands=6, dates=5), tmp_path)
    drafted = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    window = coarser_window(drafted, 24)
    rows, dates = scores_coarser(
        drafted, ["lineartime"], window, silent, cache=tmp_path / "rows", hidden=True
    )
    assert [(row["method"], row["subset"], row["dates"]) for row in rows] == [
        ("bicubic", "coarser", 3),
        ("bicubic", "hidden", 1),
        ("lineartime", "coarser", 3),
        ("lineartime", "hidden", 1),
    ]
    wald = coarsen(bench.problem)
    assert wald.labels.dates == [0, 2, 4]
    asked = hide(hide(wald.problem, "rich", [2]), "sharp", [2])
    line = LinearTime().fuse(asked).full()[2]
    valid = wald.labels.valid.expand(wald.labels.data.shape)[1]
    plain = RMSE(line[None], wald.labels.data[1:2], valid=valid[None])
    assert rows[3]["rmse"] == pytest.approx(plain, rel=1e-5)
    assert [row["date"] for row in dates if row["subset"] == "missing"] == [2, 2]


def test_parts_of_the_spectrum_are_scored_apart(tmp_path):
    problem = tiny_problem(size=72, bands=6, dates=1)
    nm = torch.tensor([450.0, 600.0, 800.0, 1000.0, 1600.0, 2200.0], dtype=torch.float64)
    bench = Bench.of(replace(problem, target=replace(problem.target, wavelengths=nm)), tmp_path)
    drafted = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    rows, _ = scores_coarser(drafted, (), coarser_window(drafted, 24), silent, cache=tmp_path / "rows")
    assert [row["subset"] for row in rows] == ["coarser", "coarser/vnir", "coarser/swir"]


def test_a_comparison_that_was_cut_off_goes_on_where_it_was(tmp_path, monkeypatch):
    bench = Bench.of(tiny_problem(size=72, bands=6, dates=5), tmp_path)
    drafted, rows = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24), tmp_path / "rows"
    asked = (drafted, ["lineartime"], coarser_window(drafted, 24), silent)
    whole = scores_coarser(*asked, cache=tmp_path / "others", hidden=True)
    first = Counted(monkeypatch, cut_off=4)
    with pytest.raises(KeyboardInterrupt):
        scores_coarser(*asked, cache=rows, hidden=True)
    again = Counted(monkeypatch)
    resumed = scores_coarser(*asked, cache=rows, hidden=True)
    assert again.tried == [first.tried[-1]], "the others are done, and the training goes on in its own folder"
    assert not list(rows.glob("*.partial"))
    assert [unpriced(part) for part in resumed] == [unpriced(part) for part in whole]
    last = Counted(monkeypatch)
    assert scores_coarser(*asked, cache=rows, hidden=True) == resumed
    assert not last.tried


def test_what_is_kept_is_of_its_own_question(tmp_path, monkeypatch):
    """Other labels or another window are asked anew."""
    bench = Bench.of(tiny_problem(size=72, bands=6, dates=3), tmp_path)
    drafted = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    found = Counted(monkeypatch)
    for size in (24, 12, 24):
        scores_coarser(drafted, (), coarser_window(drafted, size), silent, cache=tmp_path / "rows")
    assert len(found.tried) == 2


def test_optics_that_are_not_known_are_those_that_the_images_tell(tmp_path):
    """Seen through narrow optics and stated with wide ones: what was coarsened must fit the labels."""
    seen = pair_problem(size=(144, 144), kernel=gaussian_kernel(1.2, 3), noise=0.0)
    bench = Bench.of(seen, tmp_path, side=72)
    wide = gaussian_kernel(6.0, 3).numpy()

    def off(known):
        stated = [
            replace(s, known=known, kernel=wide if s.role == "rich" else s.kernel) for s in bench.sources
        ]
        drafted = bench.plan(GSA(), tmp_path / "fused.zarr", 72, sources=tuple(stated))
        rows, _ = scores_coarser(
            drafted, (), coarser_window(drafted, 48), silent, cache=tmp_path / f"rows-{known}"
        )
        return rows[0]["rmse"]

    assert off(known=False) < 0.5 * off(known=True)
