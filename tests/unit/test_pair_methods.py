"""Every method that fuses pairs, found by discovery, on the pairs that the world really gives.

Nothing becomes NaN or leaves the data's own range far behind; the unit of the data does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest
import torch
from pairscenes import changed, pair_problem, responses
from torch import Tensor

from stsfusion import methods
from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.resample import blocks
from stsfusion.operators.translate import translate
from stsfusion.testing import fuse_tiled

PAIRED = [name for name in methods.names() if issubclass(methods.kind(name), PairMethod)]
"""Every method that learns from pairs."""

WILD = 3.0
"""Largest answer, in the data's largest value."""

NOTHING = 1e-12
"""Reflectance that is none."""


def scaled(problem: Problem, by: float) -> Problem:
    """Both images in another unit."""

    def times(seen: Observation) -> Observation:
        return replace(seen, data=seen.data * by, noise=None if seen.noise is None else seen.noise * by)

    return changed(problem, rich=times, sharp=times)


def lowered(problem: Problem, by: float) -> Problem:
    """Both images with something taken off everywhere."""

    def down(seen: Observation) -> Observation:
        return replace(seen, data=seen.data - by)

    return changed(problem, rich=down, sharp=down)


def masked(seen: Observation, valid: Tensor, under: float = 0.0) -> Observation:
    """Data believed only where `valid`; what lies under the mask is `under`."""
    mask = seen.valid & valid
    return replace(seen, data=torch.where(mask, seen.data, under), valid=mask)


def dead(seen: Observation, *bands: int) -> Observation:
    """Bands that are valid nowhere."""
    alive = torch.ones(1, seen.data.shape[1], 1, 1, dtype=torch.bool)
    alive[:, list(bands)] = False
    return masked(seen, alive, -9999.0)


def slanted(problem: Problem) -> Problem:
    """A strip beyond a slanted line without data in both images, as warped scenes have it."""
    rows, cols = problem.target.shape[2:]
    down, right = torch.arange(rows)[:, None], torch.arange(cols)[None, :]
    inside = (down + 0.4 * right > 0.35 * rows)[None, None]
    ratio = problem.rich.ratio
    whole = inside.unfold(2, ratio, ratio).unfold(3, ratio, ratio).flatten(4).all(4)
    return changed(
        problem, rich=lambda seen: masked(seen, whole), sharp=lambda seen: masked(seen, inside, 1e4)
    )


def striped(problem: Problem) -> Problem:
    """Every hyperspectral band lacks a column of its own."""
    bands, cols = problem.rich.data.shape[1], problem.rich.data.shape[3]
    lost = torch.arange(bands)[:, None] % cols == torch.arange(cols)[None, :]
    return changed(problem, rich=lambda seen: masked(seen, ~lost[None, :, None, :]))


def speckled(problem: Problem) -> Problem:
    """Gaps of single multispectral pixels, so many that none of the coarse ones is free of them."""
    dice = torch.Generator().manual_seed(3)
    rows, cols = problem.target.shape[2:]
    return changed(
        problem, sharp=lambda seen: masked(seen, torch.rand(1, 1, rows, cols, generator=dice) > 0.2, 1e4)
    )


def silent(problem: Problem) -> Problem:
    """Bands that are zero everywhere and said to be valid."""

    def mute(seen: Observation) -> Observation:
        data = seen.data.clone()
        data[:, 1] = 0.0
        return replace(seen, data=data)

    return changed(problem, rich=mute, sharp=mute)


def dark_lake(problem: Problem) -> Problem:
    """Spectra that are zero in every band of both images."""
    rows, cols = problem.rich.data.shape[2:]
    land = torch.ones(1, 1, rows, cols)
    land[..., 2 : rows // 2, 1 : cols // 2] = 0.0
    fine = blocks(land, problem.rich.ratio)
    return changed(
        problem,
        rich=lambda seen: replace(seen, data=seen.data * land),
        sharp=lambda seen: replace(seen, data=seen.data * fine),
    )


def flat(problem: Problem, level: float) -> Problem:
    """Images without any contrast."""

    def even(seen: Observation) -> Observation:
        return replace(seen, data=torch.full_like(seen.data, level))

    return changed(problem, rich=even, sharp=even)


def blank_date(problem: Problem, role: str, date: int) -> Problem:
    """A sensor of which one date is all gap."""
    seen = torch.ones(len(problem.target.days), 1, 1, 1, dtype=torch.bool)
    seen[date] = False
    return changed(problem, **{role: lambda own: masked(own, seen)})


def outside(count: int, beyond: int) -> Problem:
    """`count` multispectral bands, the last `beyond` of which look at no hyperspectral band."""
    nm = torch.linspace(420.0, 980.0, 12, dtype=torch.float64)
    response = responses(nm, count)
    inside = pair_problem(response=response)
    response = response.clone()
    response[count - beyond :] = 0.0
    view = pair_problem(response=response).sharp.view
    return changed(inside, sharp=lambda seen: replace(seen, view=view))


@dataclass(frozen=True)
class Case:
    """A problem, and the settings that make it cheap."""

    make: Callable[[], Problem]
    settings: tuple[tuple[str, object], ...] = ()


BOX = (("psf", "box"),)

CASES = {
    "negative reflectance": Case(lambda: lowered(pair_problem(), 0.3)),
    "half negative": Case(lambda: lowered(pair_problem(), 0.15), BOX),
    "counts": Case(lambda: scaled(pair_problem(), 1e4), BOX),
    "tiny values": Case(lambda: scaled(pair_problem(), 1e-3), BOX),
    "zero spectra": Case(lambda: dark_lake(pair_problem()), BOX),
    "dead hyperspectral bands": Case(lambda: changed(pair_problem(), rich=lambda seen: dead(seen, 0, 7))),
    "dead multispectral bands": Case(lambda: changed(pair_problem(), sharp=lambda seen: dead(seen, 1, 3))),
    "slanted edge": Case(lambda: slanted(pair_problem(size=(36, 48)))),
    "striped": Case(lambda: striped(pair_problem(bands=24))),
    "speckled": Case(lambda: speckled(pair_problem()), BOX),
    "silent bands": Case(lambda: silent(pair_problem()), BOX),
    "two hyperspectral bands": Case(lambda: pair_problem(bands=2, fine=1), BOX),
    "more bands than pixels": Case(lambda: pair_problem(size=(24, 24), ratio=4, bands=60), BOX),
    "panchromatic": Case(lambda: pair_problem(fine=1)),
    "ratio 2": Case(lambda: pair_problem(size=(24, 28), ratio=2)),
    "ratio 5": Case(lambda: pair_problem(size=(30, 40), ratio=5), BOX),
    "ratio 12": Case(lambda: pair_problem(size=(48, 36), ratio=12, kernel=box_kernel(12)), BOX),
    "some bands outside": Case(lambda: outside(5, 2)),
    "constant": Case(lambda: flat(pair_problem(), 0.3)),
    "empty": Case(lambda: flat(pair_problem(), 0.0), BOX),
    "nine coarse pixels": Case(lambda: pair_problem(size=(12, 12), ratio=4)),
    "a hyperspectral date of gaps": Case(
        lambda: blank_date(pair_problem(size=(24, 24), days=(0.0, 10.0)), "rich", 1), BOX
    ),
    "a multispectral date of gaps": Case(
        lambda: blank_date(pair_problem(size=(24, 24), days=(0.0, 10.0)), "sharp", 0), BOX
    ),
}


def fused(name: str, problem: Problem, **settings: object) -> Answer:
    """Fitted and fused with the method's cheap settings."""
    asked = problem.question()
    return methods.kind(name).example(**settings).fit([asked]).fuse(asked)


def sane(answer: Answer, problem: Problem) -> None:
    """Of the target's shape, finite, and of the data's size."""
    assert answer.shape == problem.target.shape
    values = answer.full()
    assert bool(torch.isfinite(values).all())
    if answer.sigma is not None:
        assert bool(torch.isfinite(answer.sigma).all())
        assert bool((answer.sigma >= 0).all())
    largest = max(float((seen.data * seen.valid).abs().max()) for seen in problem.observations.values())
    assert float(values.abs().max()) <= WILD * largest + NOTHING


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", PAIRED)
def test_nothing_becomes_nan_or_wild(name: str, case: str):
    problem = CASES[case].make()
    sane(fused(name, problem, **dict(CASES[case].settings)), problem)


@pytest.mark.parametrize("name", PAIRED)
def test_bands_that_are_all_outside_work_or_are_refused(name: str):
    problem = outside(3, 3)
    if methods.kind(name).uncovered:
        sane(fused(name, problem), problem)
        return
    with pytest.raises(ProblemError, match="multispectral bands inside the hyperspectral range"):
        fused(name, problem)


@lru_cache(maxsize=1)
def in_reflectance(name: str) -> Tensor:
    """What the method makes of a small scene."""
    return fused(name, pair_problem(size=(24, 24)), psf="box").full()


@pytest.mark.parametrize("by", [3.0, 2.0**13, 2.0**-10])
@pytest.mark.parametrize("name", PAIRED)
def test_a_unit_is_only_a_unit(name: str, by: float):
    """A power of two changes no digit, so that any threshold in absolute reflectance would be seen."""
    other = fused(name, scaled(pair_problem(size=(24, 24)), by), psf="box").full()
    torch.testing.assert_close(other / by, in_reflectance(name), rtol=0.0, atol=2e-5 if by == 3 else 1e-6)


@pytest.mark.parametrize("name", PAIRED)
def test_a_displaced_scene_has_no_seams(name: str):
    """The halo holds the registration too, beside gaps that are filled and interpolated over."""
    problem = slanted(pair_problem(size=(60, 60), registered=False))
    away = changed(
        problem, sharp=lambda seen: replace(seen, data=translate(seen.data[0], (-0.6, 0.4))[None])
    ).question()
    fitted = methods.kind(name).example().fit([away])
    assert fitted.state["0.model.moved"].tolist() == pytest.approx([0.6, -0.4], abs=0.15)
    step = float((fuse_tiled(fitted, away, 24) - fitted.fuse(away).full()).abs().max())
    assert step <= fitted.card.seam
