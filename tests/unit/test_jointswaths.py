"""Joint estimation a few rows at a time: the same as all at once, and little is held on the way."""

from __future__ import annotations

import pytest
import torch

from stsfusion.fusion.answer import Deviations
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import Geometry
from stsfusion.learning import joint, swaths
from stsfusion.learning.swaths import swaths as cut
from stsfusion.methods.jointlr import JointLR


@pytest.fixture(scope="module")
def learned():
    """A cloudy tile, and what was learned of it."""
    problem = tiny_problem(size=48, gaps=True).question()
    return problem, JointLR.example().fit([problem])


def _off(problem, method, monkeypatch, rows):
    """Largest difference in values and in deviations, relative, of swaths of so many rows."""
    whole = method.fuse(problem)
    monkeypatch.setattr(swaths, "PIXELS", rows * problem.target.shape[3])
    parts = method.fuse(problem)
    assert torch.equal(parts.quality, whole.quality)
    pairs = [(parts.full(), whole.full()), (parts.sigma, whole.sigma)]
    return [float((a - b).abs().max() / b.abs().max()) for a, b in pairs]


@pytest.mark.parametrize("rows", [6, 18])
def test_swaths_of_any_height_give_the_same(learned, monkeypatch, rows):
    assert len(list(cut(learned[0]))) == 1
    assert max(_off(*learned, monkeypatch, rows)) < 1e-5


def test_without_context_they_would_not(learned, monkeypatch):
    monkeypatch.setattr(joint, "_TAPS", 0)
    assert max(_off(*learned, monkeypatch, 6)) > 1e-4


def test_swaths_cover_every_row_once_and_begin_on_coarse_pixels(learned, monkeypatch):
    monkeypatch.setattr(swaths, "PIXELS", 48 * 12)
    found = list(cut(learned[0], reach=5))
    assert [row for swath in found for row in range(48)[swath.own]] == list(range(48))
    for swath in found:
        assert swath.seen.start % 6 == swath.seen.stop % 6 == 0
        assert range(48)[swath.seen][swath.inner] == range(48)[swath.own]
        assert swath.seen.start <= max(swath.own.start - 5, 0)


def test_deviations_are_made_by_date(learned):
    problem, method = learned
    answer = method.fuse(problem)
    assert isinstance(answer.deviations, Deviations)
    assert answer.deviations.shape == problem.target.shape
    for date in range(5):
        assert torch.equal(answer.sigma_of(date), answer.sigma[date])


def test_what_it_holds_does_not_grow_with_the_bands_and_is_foretold():
    held = {}
    for bands in (40, 120):
        problem = tiny_problem(size=48, bands=bands, dates=3).question()
        method = JointLR.example().fit([problem])
        held[bands] = peak_bytes(lambda m=method, p=problem: m.fuse(p))
        assert held[bands] <= method.peak(problem.target.shape, Geometry.of(problem))
    assert held[120] < 1.2 * held[40]
