"""What every method promises of its answers: no seams, no leaks, no peeking, and better than upsampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.resample import upsample
from stsfusion.testing.broken import hold
from stsfusion.testing.posed import LARGE, fitted, lesson, tiny
from stsfusion.testing.tiled import fuse_tiled
from stsfusion.window import Window

__all__ = ["check_blind", "check_flat", "check_gaps", "check_seams", "check_truth", "check_useful"]


def check_seams(cls: type[FusionMethod]) -> None:
    """Tiles in any order, at several ratios, give what the whole gives."""
    for options in (LARGE, {"size": 96, "ratios": (2, 1)}, {"size": 96, "ratios": (4, 2)}):
        method, problem = lesson(cls, **options)
        whole = method.fuse(problem.question()).full()
        for tile in (24, 36) if options == LARGE else (32,):
            order = torch.Generator().manual_seed(tile)
            step = float((fuse_tiled(method, problem, tile, order) - whole).abs().max())
            said = f"tiles of {tile} at ratios {options['ratios']} differ from the whole by {step:.2e}"
            hold("seams", step <= method.card.seam, f"{said}, the card says {method.card.seam:.0e}")


def check_flat(cls: type[FusionMethod]) -> None:
    """A scene without detail stays without detail."""
    method, problem = lesson(cls)
    level = problem.truth.mean((2, 3), keepdim=True).expand(problem.target.shape)  # type: ignore[union-attr]
    flat = _with_data(problem, lambda o: o.view(level))
    full = method.fuse(flat.question()).full()
    spread = float((full - full.mean((2, 3), keepdim=True)).abs().max())
    hold("flat", spread <= 1e-4, f"a scene without detail came back with detail of {spread:.2e}")


def check_gaps(cls: type[FusionMethod]) -> None:
    """What stands under a mask, and a gap beyond the halo, is not felt."""
    method, problem = lesson(cls, **LARGE)
    clean = method.fuse(problem.question()).full()
    wild = _with_data(problem, lambda o: torch.where(o.valid, o.data, 9.0))
    off = float((method.fuse(wild.question()).full() - clean).abs().max())
    hold("gaps", off <= 1e-6, f"what stands under the mask moved the answer by {off:.2e}")
    refit = fitted(cls, wild).fuse(wild.question()).full()
    off = float((refit - clean).abs().max())
    hold("gaps", off <= 1e-6, f"what stands under the mask was learned from: {off:.2e}")
    whole = method.fuse(tiny(cls, size=96).question()).full()
    halo = method.halo(Geometry.of(problem))
    inner = Window((0, 1), (32, 48), (32, 48)).pad(halo).clip(1, 96, 96)
    away = torch.ones(96, 96, dtype=torch.bool)
    away[slice(*inner.rows), slice(*inner.cols)] = False
    if bool(away.any()):
        off = float((whole - clean).abs()[:, :, away].max())
        hold("gaps", off <= 2e-5, f"a gap was felt beyond the halo of {halo} pixels: {off:.2e}")


def _with_data(problem: Problem, make: Callable[[Observation], Tensor]) -> Problem:
    changed = {role: replace(o, data=make(o)) for role, o in problem.observations.items()}
    return problem.with_observations(changed)


def check_useful(cls: type[FusionMethod]) -> None:
    """It beats plain upsampling on an easy problem."""
    if cls.example().card.baseline:
        return
    problem = tiny(cls, size=72, ratios=(3, 4))
    truth = problem.truth
    assert truth is not None
    fused = fitted(cls, problem).fuse(problem.question()).full()
    if problem.rich is None:
        (source,) = problem.require("dense")
        asked = [date for date in source.dates if problem.sharp is None or date not in problem.sharp.dates]
        kind = "missing"
    else:
        source, kind = problem.rich, "observed"
        asked = source.dates
    places = [source.dates.index(date) for date in asked]
    plain = float((upsample(source.data[places], source.ratio) - truth[asked]).square().mean().sqrt())
    ours = float((fused[asked] - truth[asked]).square().mean().sqrt())
    hold("useful", ours < plain, f"RMSE {ours:.4f} on the {kind} dates, plain upsampling {plain:.4f}")


def check_truth(cls: type[FusionMethod]) -> None:
    """Another truth changes nothing."""
    problem = tiny(cls)
    generator = torch.Generator().manual_seed(9)
    noise = replace(problem, truth=torch.rand(problem.target.shape, generator=generator))
    answers = [cls.example().fit([p]).fuse(p).full() for p in (problem, noise)]
    hold("truth", torch.equal(*answers), "another truth gave another answer")


def check_blind(cls: type[FusionMethod]) -> None:
    """A blind method does not feel another nominal point spread function."""
    if not cls.example().card.blind:
        return
    problem = tiny(cls)

    def unknown(observation: Observation, other: bool) -> Observation:
        spatial = replace(observation.view.spatial, known=False)
        if other and spatial.ratio > 1:
            size = spatial.kernel.shape[0]
            box = torch.zeros_like(spatial.kernel)
            inner = slice((size - spatial.ratio) // 2, (size + spatial.ratio) // 2)
            box[inner, inner] = box_kernel(spatial.ratio)
            spatial = replace(spatial, kernel=box)
        return replace(observation, view=replace(observation.view, spatial=spatial))

    answers = []
    for other in (False, True):
        seen = {role: unknown(o, other) for role, o in problem.observations.items()}
        asked = problem.question().with_observations(seen)
        answers.append(cls.example().fit([asked]).fuse(asked).full())
    off = float((answers[0] - answers[1]).abs().max())
    hold("blind", off <= 1e-6, f"another nominal point spread function moved the answer by {off:.2e}")
