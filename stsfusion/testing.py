"""The contracts in public: the very checks that CI runs, for methods, operators and sensors kept elsewhere.

>>> from stsfusion.testing import check_method
>>> check_method(MyMethod)            # doctest: +SKIP

Each check raises ContractBroken with its own name and what it measured.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.examples import tiny_problem, tiny_problem_for
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import ROLES, Observation, Problem
from stsfusion.fusion.weights import load_state, save_state
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.linear import Linear, gap
from stsfusion.operators.resample import upsample
from stsfusion.sensing.check import check_sensor
from stsfusion.window import Window

__all__ = [
    "METHOD_CHECKS",
    "ContractBroken",
    "check_method",
    "check_operator",
    "check_sensor",
    "fuse_tiled",
    "tiny_problem",
]


class ContractBroken(AssertionError):
    """A contract does not hold; the message names the check and the figures."""

    def __init__(self, check: str, said: str) -> None:
        self.check = check
        super().__init__(f"{check}: {said}")


def fuse_tiled(
    method: FusionMethod, problem: Problem, tile: int, order: torch.Generator | None = None
) -> Tensor:
    """The full answer, tile by tile with the method's halo, in any order; for checks on small problems."""
    geometry = Geometry.of(problem)
    time, _, rows, cols = problem.target.shape
    halo, multiple = method.halo(geometry), geometry.multiple
    out = torch.empty(problem.target.shape)
    corners = [(r, c) for r in range(0, rows, tile) for c in range(0, cols, tile)]
    if order is not None:
        corners = [corners[i] for i in torch.randperm(len(corners), generator=order).tolist()]
    for r, c in corners:
        core = Window((0, time), (r, min(r + tile, rows)), (c, min(c + tile, cols)))
        padded = core.pad(halo).snap(multiple).clip(time, rows, cols)
        answer = method.fuse(problem.crop(padded).question())
        inner = core.within(padded)
        out[core.slices] = answer.full()[inner.slices]
    return out


# ---------------------------------------------------------------- operators


def check_operator(op: Linear, *, seed: int = 0, tolerance: float = 1e-10) -> None:
    """Adjoint, linearity and agreement with automatic differentiation, in double precision.

    Raises
    ------
    ContractBroken
        Which of them fails, and by how much.
    """
    generator = torch.Generator().manual_seed(seed)
    difference = gap(op, generator)
    _hold("adjoint", difference <= tolerance, f"⟨Ax, y⟩ and ⟨x, Aᵀy⟩ differ by {difference:.2e}")
    a, b = (torch.randn(op.in_shape, generator=generator, dtype=torch.float64) for _ in range(2))
    bent = float((op(2.0 * a - b) - 2.0 * op(a) + op(b)).abs().max())
    _hold("linearity", bent <= tolerance * 10, f"A(2a − b) and 2Aa − Ab differ by {bent:.2e}")
    y = torch.randn(op.out_shape, generator=generator, dtype=torch.float64)
    x = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad((op(x) * y).sum(), x)
    off = float((slope - op.adjoint(y)).abs().max())
    _hold("autograd", off <= tolerance * 10, f"the adjoint and the derivative differ by {off:.2e}")


def _hold(check: str, holds: bool, said: str) -> None:
    if not holds:
        raise ContractBroken(check, said)


# ---------------------------------------------------------------- methods


def _fitted(cls: type[FusionMethod], problem: Problem, **settings: Any) -> FusionMethod:
    return cls.example(**settings).fit([problem.question()])


def _tiny(cls: type[FusionMethod], **options: Any) -> Problem:
    return tiny_problem_for(cls.example().card, **options)


def _check_card(cls: type[FusionMethod]) -> None:
    card = cls.example().card
    file = cls.__module__.rsplit(".", 1)[-1]
    own = cls.__module__.startswith("stsfusion.methods.")
    _hold("card", not own or card.name == file, f"the name '{card.name}' is not the file's, '{file}'")
    _hold("card", bool(card.needs and card.source and card.title), "needs, source and title must be said")
    _hold("card", not set(card.needs) & set(card.uses), "a role is needed and optional at once")


def _check_shape(cls: type[FusionMethod]) -> None:
    for gaps in (False, True):
        problem = _tiny(cls, gaps=gaps)
        method = _fitted(cls, problem)
        answer = method.fuse(problem.question())
        _hold("shape", answer.shape == problem.target.shape, f"{answer.shape} is not {problem.target.shape}")
        _hold("shape", bool(torch.isfinite(answer.full()).all()), "NaN or infinity in the answer")
        known = {int(q) for q in Quality}
        _hold("shape", answer.quality.dtype == torch.uint8, f"quality is {answer.quality.dtype}, not uint8")
        _hold("shape", set(answer.quality.unique().tolist()) <= known, "quality has values outside Quality")
        said = answer.sigma is not None
        _hold("shape", said == method.card.sigma, "the card and the answer disagree on sigma")
        if answer.sigma is not None:
            _hold("shape", bool((answer.sigma >= 0).all()), "a negative standard deviation")


def _check_purity(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls, gaps=True).question()
    before = copy.deepcopy(problem)
    method = cls.example()
    blank = repr(method)
    fitted = method.fit([problem])
    _hold("purity", repr(method) == blank and not method.state, "fit changed the method it was called on")
    _hold("purity", repr(fitted) == blank, "fit changed the settings")
    again = method.fit([problem])
    same = all(torch.equal(t, again.state[name]) for name, t in fitted.state.items())
    _hold("purity", same and fitted.state.keys() == again.state.keys(), "a second fit learned something else")
    first, second = fitted.fuse(problem).full(), fitted.fuse(problem).full()
    _hold("purity", torch.equal(first, second), "a second fuse gave something else")
    for role, observation in problem.observations.items():
        kept = before.observations[role]
        _hold("purity", torch.equal(observation.data, kept.data), f"fit or fuse wrote into '{role}'")
        _hold("purity", torch.equal(observation.valid, kept.valid), f"fit or fuse wrote into '{role}'")


def _check_roles(cls: type[FusionMethod]) -> None:
    card = cls.example().card
    for role in card.needs:
        problem = _tiny(cls, roles=tuple(r for r in ROLES if r != role)).question()
        whole = _fitted(cls, _tiny(cls))
        try:
            whole.fuse(problem)
        except ProblemError as error:
            _hold("roles", role in str(error), f"the error does not name the missing role '{role}'")
        else:
            raise ContractBroken("roles", f"fuse went on without the needed role '{role}'")
    for role in card.uses:
        problem = _tiny(cls, roles=tuple(r for r in ROLES if r != role))
        answer = _fitted(cls, problem).fuse(problem.question())
        _hold("roles", bool(torch.isfinite(answer.full()).all()), f"NaN without the optional role '{role}'")
    if card.fits != "no":
        try:
            cls.example().fuse(_tiny(cls).question())
        except MethodError:
            return
        raise ContractBroken("roles", "an unfitted method fused")


def _check_seams(cls: type[FusionMethod]) -> None:
    for ratios, size in (((3, 2), 96), ((2, 1), 96), ((4, 2), 96)):
        problem = _tiny(cls, ratios=ratios, size=size, gaps=ratios == (3, 2))
        method = _fitted(cls, problem)
        whole = method.fuse(problem.question()).full()
        for tile in (24, 36) if ratios == (3, 2) else (32,):
            order = torch.Generator().manual_seed(tile)
            step = float((fuse_tiled(method, problem, tile, order) - whole).abs().max())
            said = f"tiles of {tile} at ratios {ratios} differ from the whole by {step:.2e}"
            _hold("seams", step <= method.card.seam, f"{said}, the card says {method.card.seam:.0e}")


def _check_flat(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls)
    method = _fitted(cls, problem)
    level = problem.truth.mean((2, 3), keepdim=True).expand(problem.target.shape)  # type: ignore[union-attr]
    flat = _with_data(problem, lambda o: o.view(level))
    full = method.fuse(flat.question()).full()
    spread = float((full - full.mean((2, 3), keepdim=True)).abs().max())
    _hold("flat", spread <= 1e-4, f"a scene without detail came back with detail of {spread:.2e}")


def _check_gaps(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls, size=96, gaps=True)
    method = _fitted(cls, problem)
    clean = method.fuse(problem.question()).full()
    wild = _with_data(problem, lambda o: torch.where(o.valid, o.data, 9.0))
    off = float((method.fuse(wild.question()).full() - clean).abs().max())
    _hold("gaps", off <= 1e-6, f"what stands under the mask moved the answer by {off:.2e}")
    refit = _fitted(cls, wild).fuse(wild.question()).full()
    off = float((refit - _fitted(cls, problem).fuse(problem.question()).full()).abs().max())
    _hold("gaps", off <= 1e-6, f"what stands under the mask was learned from: {off:.2e}")
    whole = method.fuse(_tiny(cls, size=96).question()).full()
    halo = method.halo(Geometry.of(problem))
    inner = Window((0, 1), (32, 48), (32, 48)).pad(halo).clip(1, 96, 96)
    away = torch.ones(96, 96, dtype=torch.bool)
    away[slice(*inner.rows), slice(*inner.cols)] = False
    if bool(away.any()):
        off = float((whole - clean).abs()[:, :, away].max())
        _hold("gaps", off <= 2e-5, f"a gap was felt beyond the halo of {halo} pixels: {off:.2e}")


def _with_data(problem: Problem, make: Callable[[Observation], Tensor]) -> Problem:
    changed = {role: replace(o, data=make(o)) for role, o in problem.observations.items()}
    return problem.with_observations(changed)


def _check_useful(cls: type[FusionMethod]) -> None:
    if cls.example().card.baseline:
        return
    problem = _tiny(cls, size=72, ratios=(3, 4))
    truth = problem.truth
    assert truth is not None
    fused = _fitted(cls, problem).fuse(problem.question()).full()
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
    _hold("useful", ours < plain, f"RMSE {ours:.4f} on the {kind} dates, plain upsampling {plain:.4f}")


def _check_truth(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls)
    generator = torch.Generator().manual_seed(9)
    noise = replace(problem, truth=torch.rand(problem.target.shape, generator=generator))
    answers = [cls.example().fit([p]).fuse(p).full() for p in (problem, noise)]
    _hold("truth", torch.equal(*answers), "another truth gave another answer")


def _check_blind(cls: type[FusionMethod]) -> None:
    if not cls.example().card.blind:
        return
    problem = _tiny(cls)

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
    _hold("blind", off <= 1e-6, f"another nominal point spread function moved the answer by {off:.2e}")


def _check_saved(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls)
    method = _fitted(cls, problem)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_state(method, path)
        loaded = load_state(cls.example(), path)
    same = torch.equal(loaded.fuse(problem.question()).full(), method.fuse(problem.question()).full())
    _hold("saved", same, "saved and loaded, it answers otherwise")


def _check_memory(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls, size=96, bands=40).question()
    method = _fitted(cls, problem)
    target = 4 * torch.Size(problem.target.shape).numel()
    peak = peak_bytes(lambda: method.fuse(problem)) / target
    card = method.card.memory
    _hold("memory", peak <= card, f"the peak was {peak:.1f} times the target, the card says {card:.1f}")


def _check_one_date(cls: type[FusionMethod]) -> None:
    problem = _tiny(cls, dates=1)
    answer = _fitted(cls, problem).fuse(problem.question())
    _hold("one date", bool(torch.isfinite(answer.full()).all()), "NaN with a single date")


METHOD_CHECKS: dict[str, Callable[[type[FusionMethod]], None]] = {
    "card": _check_card,
    "shape": _check_shape,
    "purity": _check_purity,
    "roles": _check_roles,
    "seams": _check_seams,
    "flat": _check_flat,
    "gaps": _check_gaps,
    "useful": _check_useful,
    "truth": _check_truth,
    "blind": _check_blind,
    "saved": _check_saved,
    "memory": _check_memory,
    "one date": _check_one_date,
}
"""Every promise of a method, by name."""


def check_method(cls: type[FusionMethod]) -> None:
    """Run every check of the method contract on a class, with its example's settings.

    Raises
    ------
    ContractBroken
        The first check that fails, with what it measured.
    """
    for check in METHOD_CHECKS.values():
        check(cls)
