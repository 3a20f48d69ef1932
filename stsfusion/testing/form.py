"""What every method promises of its form: card, shape, purity, roles, state, memory and dates."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch

from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Factored, Quality
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import ROLES, Observation
from stsfusion.fusion.weights import load_state, save_state
from stsfusion.testing.broken import ContractBroken, hold
from stsfusion.testing.posed import fitted, lesson, tiny

__all__ = [
    "check_card",
    "check_memory",
    "check_one_date",
    "check_order",
    "check_purity",
    "check_roles",
    "check_saved",
    "check_shape",
]


def check_card(cls: type[FusionMethod]) -> None:
    """Its name is its file's, and it says what it needs and whose it is."""
    card = cls.example().card
    file = cls.__module__.rsplit(".", 1)[-1]
    own = cls.__module__.startswith("stsfusion.methods.")
    hold("card", not own or card.name == file, f"the name '{card.name}' is not the file's, '{file}'")
    hold("card", bool(card.needs and card.source and card.title), "needs, source and title must be said")
    hold("card", not set(card.needs) & set(card.uses), "a role is needed and optional at once")


def check_shape(cls: type[FusionMethod]) -> None:
    """An answer has the target's shape, no NaN, known marks, a sigma and factors where the card says so."""
    for options in ({}, {"gaps": True}):
        method, problem = lesson(cls, **options)
        answer = method.fuse(problem.question())
        hold("shape", answer.shape == problem.target.shape, f"{answer.shape} is not {problem.target.shape}")
        hold("shape", bool(torch.isfinite(answer.full()).all()), "NaN or infinity in the answer")
        known = {int(q) for q in Quality}
        hold("shape", answer.quality.dtype == torch.uint8, f"quality is {answer.quality.dtype}, not uint8")
        hold("shape", set(answer.quality.unique().tolist()) <= known, "quality has values outside Quality")
        factored = isinstance(answer.values, Factored)
        hold("shape", factored == method.card.factored, "the card and the answer disagree on being factored")
        sigma = answer.sigma
        hold("shape", (sigma is not None) == method.card.sigma, "the card and the answer disagree on sigma")
        if sigma is not None:
            hold("shape", bool((sigma >= 0).all()), "a negative standard deviation")


def check_purity(cls: type[FusionMethod]) -> None:
    """Fitting and fusing change neither settings nor input, and give the same again."""
    problem = tiny(cls, gaps=True).question()
    before = copy.deepcopy(problem)
    method = cls.example()
    blank = repr(method)
    learned = method.fit([problem])
    hold("purity", repr(method) == blank and not method.state, "fit changed the method it was called on")
    hold("purity", repr(learned) == blank, "fit changed the settings")
    again = method.fit([problem])
    same = all(torch.equal(t, again.state[name]) for name, t in learned.state.items())
    hold("purity", same and learned.state.keys() == again.state.keys(), "a second fit learned something else")
    first, second = learned.fuse(problem).full(), learned.fuse(problem).full()
    hold("purity", torch.equal(first, second), "a second fuse gave something else")
    for role, observation in problem.observations.items():
        kept = before.observations[role]
        hold("purity", torch.equal(observation.data, kept.data), f"fit or fuse wrote into '{role}'")
        hold("purity", torch.equal(observation.valid, kept.valid), f"fit or fuse wrote into '{role}'")


def check_roles(cls: type[FusionMethod]) -> None:
    """A missing needed role is named; an optional one may lack, or be stood in for; unfitted ones say so."""
    card = cls.example().card
    for role in card.needs:
        problem = tiny(cls, roles=tuple(r for r in ROLES if r != role)).question()
        whole, _ = lesson(cls)
        try:
            whole.fuse(problem)
        except ProblemError as error:
            hold("roles", role in str(error), f"the error does not name the missing role '{role}'")
        else:
            raise ContractBroken("roles", f"fuse went on without the needed role '{role}'")
    for role in card.uses:
        problem = tiny(cls, roles=tuple(r for r in ROLES if r != role))
        answer = fitted(cls, problem).fuse(problem.question())
        hold("roles", bool(torch.isfinite(answer.full()).all()), f"NaN without the optional role '{role}'")
    if card.finest:
        problem = tiny(cls, ratios=(3, 1), roles=tuple(r for r in ROLES if r != "sharp"))
        try:
            answer = fitted(cls, problem).fuse(problem.question())
        except ProblemError as error:
            raise ContractBroken("roles", "the finest sensor cannot stand in for the sharp one") from error
        hold("roles", bool(torch.isfinite(answer.full()).all()), "NaN where the finest sensor stands in")
    if card.fits != "no":
        try:
            cls.example().fuse(tiny(cls).question())
        except MethodError:
            return
        raise ContractBroken("roles", "an unfitted method fused")


def check_saved(cls: type[FusionMethod]) -> None:
    """Saved and loaded, it answers the same."""
    method, problem = lesson(cls)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_state(method, path)
        loaded = load_state(cls.example(), path)
    same = torch.equal(loaded.fuse(problem.question()).full(), method.fuse(problem.question()).full())
    hold("saved", same, "saved and loaded, it answers otherwise")


def check_memory(cls: type[FusionMethod]) -> None:
    """The peak is what it says at most, and what its card says."""
    problem = tiny(cls, size=96, bands=40).question()
    method = fitted(cls, problem)
    target = 4 * torch.Size(problem.target.shape).numel()
    peak = peak_bytes(lambda: method.fuse(problem)) / target
    said = min(method.card.memory, method.peak(problem.target.shape, Geometry.of(problem)) / target)
    hold("memory", peak <= said, f"the peak was {peak:.1f} times the target, it says {said:.1f}")


def check_one_date(cls: type[FusionMethod]) -> None:
    """A single date is enough to answer."""
    problem = tiny(cls, dates=1)
    answer = fitted(cls, problem).fuse(problem.question())
    hold("one date", bool(torch.isfinite(answer.full()).all()), "NaN with a single date")


def check_order(cls: type[FusionMethod]) -> None:
    """Dates may be given in any order: it learns and answers the very same."""
    method, problem = lesson(cls)
    turned = {role: _turned(observation) for role, observation in problem.observations.items()}
    asked = problem.question().with_observations(turned)
    learned = cls.example().fit([asked])
    same = all(torch.equal(t, learned.state[name]) for name, t in method.state.items())
    hold("order", same and learned.state.keys() == method.state.keys(), "it learned of the order of dates")
    given, sorted_ = learned.fuse(asked), method.fuse(problem.question())
    off = float((given.full() - sorted_.full()).abs().max())
    hold("order", off == 0.0, f"dates in another order moved the answer by {off:.2e}")
    hold("order", torch.equal(given.quality, sorted_.quality), "dates in another order changed the quality")
    if given.sigma is not None and sorted_.sigma is not None:
        hold("order", torch.equal(given.sigma, sorted_.sigma), "dates in another order changed sigma")


def _turned(observation: Observation) -> Observation:
    """The same with its first date told last."""
    return observation.select([*range(1, len(observation.dates)), 0])
