"""Joint estimation with akin and floor at work.

Surfaces go through the same greenness and show it, in bands that only the hyperspectral sensor has, in their
own ways; what tells them apart is their whole series. Water reflects next to nothing.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import Geometry
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.fusion.weights import load_state, save_state
from stsfusion.learning import jointanswer, swaths
from stsfusion.learning.floor import Floor
from stsfusion.learning.subspace import Subspace
from stsfusion.methods.jointlr import JointLR
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import upsample
from stsfusion.testing.tiled import fuse_tiled

_BANDS, _MORE = 12, 8
"""That all sensors cover, and that the hyperspectral one has alone."""

_NOISE = 0.003

_WATER = slice(0, 24)

_SETTINGS = {"akin": 150, "hidings": 2, "spans": (200.0,), "rank": 8, "centres": 12}


def _surfaces(size: int, days: Tensor, nm: Tensor) -> Tensor:
    """(time, band, y, x) of fields that green at different times, and look otherwise for that."""
    generator = torch.Generator().manual_seed(0)
    phase = 3.1 * torch.rand(1, 1, size // 6, size // 6, generator=generator, dtype=torch.float64)
    phase = upsample(phase, 6, "nearest")
    phase = phase + 0.1 * torch.randn(1, 1, size, size, generator=generator, dtype=torch.float64)
    green = 0.5 + 0.45 * torch.sin(days[:, None, None, None] / 20.0 + phase)
    soil, leaf = 0.1 + 0.2 * torch.linspace(0, 1, len(nm)), 0.05 + 0.4 * torch.sigmoid((nm - 715.0) / 12.0)
    near = soil[:, None, None] * (1 - green) + leaf[:, None, None] * green
    tilt = torch.linspace(0.5, 1.0, _MORE)[:, None, None]
    early = torch.cos(phase)
    truth = torch.cat([near, 0.2 + 0.3 * tilt * early * (green - 0.5)], 1)
    truth[:, :, _WATER, _WATER] *= 0.01
    return truth.float()


def _scene(size: int = 72, dates: int = 7, ratios: tuple[int, int] = (3, 2)) -> Problem:
    made = tiny_problem(size=size, bands=_BANDS, dates=dates, ratios=ratios)
    truth = _surfaces(size, made.target.days, made.target.wavelengths)
    nm = torch.cat([made.target.wavelengths, torch.linspace(1500.0, 2200.0, _MORE, dtype=torch.float64)])
    target = Target(tuple(truth.shape), nm, made.target.days)
    generator = torch.Generator().manual_seed(1)

    def seen(role: str) -> Observation:
        old = made.observations[role].view
        spectral = None
        if role != "rich":
            matrix = old.spectral.matrix
            spectral = torch.cat([matrix, matrix.new_zeros(len(matrix), _MORE)], 1)
        ratio = made.observations[role].ratio
        kernel = None if ratio == 1 else gaussian_kernel(ratio, ratio)
        view = Degradation.of(
            target.shape, dates=made.observations[role].dates, kernel=kernel, ratio=ratio, spectral=spectral
        )
        clean = view(truth)
        data = clean + _NOISE * torch.randn(clean.shape, generator=generator)
        valid = torch.ones(len(data), 1, *data.shape[2:], dtype=torch.bool)
        return Observation(data, valid, view, torch.full((data.shape[1],), _NOISE))

    return Problem(target, truth=truth).with_observations({role: seen(role) for role in made.observations})


@pytest.fixture(scope="module")
def scene():
    return _scene()


@pytest.fixture(scope="module")
def learned(scene):
    return JointLR(**_SETTINGS).fit([scene.question()])


def _missed(problem: Problem, full: Tensor) -> float:
    assert problem.truth is not None
    return float((full - problem.truth)[1::2, _BANDS:, 24:].square().mean().sqrt())


def test_kinds_of_surface_are_told_apart_by_their_series(scene, learned):
    assert learned.state["akin.weights"].abs().max() > 0
    alone = JointLR(**{**_SETTINGS, "akin": 0}).fit([scene.question()])
    assert "akin.weights" not in alone.state
    ours, theirs = (_missed(scene, m.fuse(scene.question()).full()) for m in (learned, alone))
    assert ours < 0.7 * theirs


def test_what_pixels_keep_is_less_once_their_kind_is_known(scene, learned):
    alone = JointLR(**{**_SETTINGS, "akin": 0}).fit([scene.question()])
    common = learned.state["akin.weights"].abs().amax(0) > 0
    assert bool((learned.state["carried.lasting"] < alone.state["carried.lasting"])[common].all())


def test_no_band_of_dark_water_falls_below_zero(scene, learned, monkeypatch):
    inner = slice(0, 18)
    held = learned.fuse(scene.question()).full()[:, :, inner, inner]
    monkeypatch.setattr(jointanswer, "floored", lambda joint, scores: scores)
    free = learned.fuse(scene.question()).full()[:, :, inner, inner]
    truth = scene.truth[:, :, inner, inner]
    assert float(free.min()) < -2.0 * _NOISE
    assert float(held.min()) > -0.75 * _NOISE
    assert float((held - truth).square().mean()) < 0.9 * float((free - truth).square().mean())


def test_tiles_and_swaths_and_what_was_saved_say_the_same(scene, learned, monkeypatch, tmp_path):
    whole = learned.fuse(scene.question()).full()
    save_state(learned, tmp_path / "learned.safetensors")
    again = load_state(JointLR(**_SETTINGS), tmp_path / "learned.safetensors")
    assert torch.equal(again.fuse(scene.question()).full(), whole)
    assert float((fuse_tiled(learned, scene, 36) - whole).abs().max()) < learned.card.seam
    monkeypatch.setattr(swaths, "PIXELS", 6 * 72)
    assert float((learned.fuse(scene.question()).full() - whole).abs().max()) < 1e-5


def test_its_deviation_covers_what_it_misses(scene, learned):
    answer = learned.fuse(scene.question())
    inside = (answer.full() - scene.truth).abs() <= 1.6449 * answer.sigma
    assert 0.8 < float(inside[1::2].float().mean()) < 1.0


@pytest.mark.parametrize(("rank", "ratios"), [(8, (3, 2)), (20, (3, 2)), (8, (3, 8))])
def test_what_it_holds_is_foretold(rank, ratios):
    problem = _scene(48, 3 if 8 in ratios else 5, ratios).question()
    method = JointLR(**{**_SETTINGS, "rank": rank, "hidings": 0}).fit([problem])
    held = peak_bytes(lambda: method.fuse(problem))
    assert held <= method.peak(problem.target.shape, Geometry.of(problem))


def test_many_scores_do_not_make_the_floor_hold_more():
    held = {}
    for rank in (16, 64):
        generator = torch.Generator().manual_seed(0)
        pixels = torch.rand(80, 3000, generator=generator)
        subspace = Subspace.learn([pixels.T], rank=rank, noise=torch.full((80,), 0.01))
        floor = Floor.learn([pixels], torch.eye(rank).double(), subspace)
        low = 3.0 * torch.randn(rank, 40, 40, generator=generator)
        quality = torch.zeros(1, 1, 40, 40, dtype=torch.uint8)
        held[rank] = peak_bytes(lambda f=floor, x=low, s=subspace, q=quality: Answer(f(x, s)[None], q))
    assert held[64] < 2.0 * held[16]
